// Connections that stop being HTTP: bytes both ways between a client and a program that is this test.
#include <malloc.h>
#include <sys/resource.h>

#include "net/listener.h"
#include "serve/session_rig_test.h"

namespace fivefold::serve {
namespace {

// A program behind a socket.
class SocketTunnel final : public exchange::Tunnel {
 public:
  SocketTunnel(net::Loop& loop, UniqueFd fd, milliseconds idle, std::atomic<int>& gone)
      : stream_(loop, std::move(fd)), idle_(idle), gone_(gone) {}
  ~SocketTunnel() override { ++gone_; }

  net::Task<Result<std::string_view>> next() override {
    stream_.consume(std::exchange(handed_out_, 0));
    stream_.adapt();
    auto got = co_await stream_.fill();
    if (!got) co_return std::unexpected(std::move(got.error()));
    handed_out_ = stream_.buffered().size();
    if (stream_.buffered() == "BREAK") co_return fail(Code::program_failed, "the program broke");
    co_return stream_.buffered();
  }
  net::Task<Result<void>> send(std::string_view bytes) override {
    co_return co_await stream_.write_all(bytes, std::chrono::seconds(60));
  }
  void finish_sending() override { stream_.shutdown_write(); }
  milliseconds idle_timeout() const override { return idle_; }

 private:
  net::Stream stream_;
  std::size_t handed_out_ = 0;
  milliseconds idle_;
  std::atomic<int>& gone_;
};

struct Program {
  std::array<int, 2> pair{-1, -1};  // ours, the server's
  milliseconds idle{std::chrono::minutes(10)};
  std::atomic<int> gone = 0;
  void open() { ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0); }
};

// "/up" switches to what was asked for, "/bare" says 101 with nothing behind it, "/other" switches to something else.
class Switcher final : public exchange::Handler {
 public:
  explicit Switcher(Program& program) : program_(program) {}
  net::Task<Result<exchange::Response>> handle(exchange::Request request, exchange::Exchange& exchange) override {
    exchange::Response response;
    if (request.path == "/ordinary") {
      response.body = exchange::Body::text("ordinary");
      co_return response;
    }
    if (request.path == "/read") {
      auto body = co_await exchange::read_all(request.body, 1000);
      if (!body) co_return std::unexpected(std::move(body.error()));
    }
    if (request.path == "/later")
      co_await net::sleep_until(exchange.world.loop, exchange.world.loop.now() + milliseconds(60));
    response.status = request.path == "/interim" ? 102 : 101;
    response.headers.add("Upgrade", request.path == "/other" ? "h2c" : "echo");
    response.headers.add("Sec-Extra", "kept");
    if (request.path != "/bare")
      response.tunnel = std::make_unique<SocketTunnel>(
          exchange.world.loop, UniqueFd(std::exchange(program_.pair[1], -1)), program_.idle, program_.gone);
    co_return response;
  }

 private:
  Program& program_;
};

constexpr std::string_view kUpgrade =
    " HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\n";

class TunnelTest : public SessionFixture {
 protected:
  TunnelTest() { program_.open(); }
  ~TunnelTest() override {
    stop();
    sessions_.clear();
    for (const int fd : program_.pair)
      if (fd >= 0) ::close(fd);
  }
  std::shared_ptr<exchange::Handler> make_handler() override { return std::make_shared<Switcher>(program_); }

  // A tunnel that is open on both ends. The head of the 101.
  std::string open_tunnel(bool tcp = false) {
    connect(tcp);
    send("GET /up"s + std::string(kUpgrade));
    return receive("\r\n\r\n");
  }
  int program() const { return program_.pair[0]; }
  static void say(int fd, std::string_view bytes) {
    ASSERT_EQ(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  // The next `count` bytes, or what came before the end.
  static std::string hear(int fd, std::size_t count) {
    std::string all;
    std::string buffer(65536, '\0');
    while (all.size() < count) {
      pollfd wait{fd, POLLIN, 0};
      if (::poll(&wait, 1, 10000) != 1) break;
      const ssize_t got = ::recv(fd, buffer.data(), std::min(buffer.size(), count - all.size()), 0);
      if (got <= 0) break;
      all.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return all;
  }
  // 0 at an orderly end, the errno of a reset.
  static int how_it_ends(int fd) {
    std::array<char, 65536> buffer{};
    while (true) {
      pollfd wait{fd, POLLIN, 0};
      if (::poll(&wait, 1, 10000) != 1) return ETIMEDOUT;
      const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
      if (got < 0) return errno;
      if (got == 0) return 0;
    }
  }
  // Writes until nothing more is taken for a while; how much was.
  static std::size_t fill_up(int fd) {
    const std::string block(65536, 'x');
    std::size_t taken = 0;
    while (taken < 64U << 20U) {
      pollfd wait{fd, POLLOUT, 0};
      if (::poll(&wait, 1, 300) != 1) break;
      const ssize_t sent = ::send(fd, block.data(), block.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent > 0) taken += static_cast<std::size_t>(sent);
      if (sent < 0 && errno != EAGAIN) break;
    }
    return taken;
  }
  void leave() { ::close(std::exchange(client_, -1)); }

  Program program_;
};

TEST_F(TunnelTest, BytesGoBothWays) {
  const auto head = open_tunnel();
  EXPECT_TRUE(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n")) << head;
  EXPECT_TRUE(contains(head, "Connection: upgrade\r\n")) << head;
  EXPECT_TRUE(contains(head, "Upgrade: echo\r\n")) << head;
  EXPECT_TRUE(contains(head, "Sec-Extra: kept\r\n")) << head;
  EXPECT_FALSE(contains(head, "Content-Length")) << head;
  EXPECT_FALSE(contains(head, "Transfer-Encoding")) << head;
  for (int round = 0; round < 3; ++round) {
    send("to the program");
    EXPECT_EQ(hear(program(), 14), "to the program");
    say(program(), "to the client");
    EXPECT_EQ(hear(client_, 13), "to the client");
  }
  EXPECT_EQ(counters_.tunnels_open, 1U);
  EXPECT_EQ(counters_.requests_active, 0U);
  leave();
  EXPECT_EQ(hear(program(), 1), "");
  say(program(), "a last word");
  ::shutdown(program(), SHUT_WR);
  EXPECT_TRUE(eventually([this] { return counters_.tunnels_open == 0; }));
}

TEST_F(TunnelTest, WhatStandsBehindTheRequestIsTheTunnels) {
  connect();
  send("GET /later"s + std::string(kUpgrade) + "GET /early");
  EXPECT_EQ(hear(program(), 10), "GET /early");
  EXPECT_TRUE(receive("\r\n\r\n").ends_with("\r\n\r\n"));
}

TEST_F(TunnelTest, AClientThatEndsItsSideStillHearsTheProgram) {
  open_tunnel();
  send("question");
  ::shutdown(client_, SHUT_WR);
  EXPECT_EQ(hear(program(), 100), "question");  // and the end
  say(program(), "answer");
  EXPECT_EQ(hear(client_, 6), "answer");
  ::shutdown(program(), SHUT_WR);
  EXPECT_EQ(how_it_ends(client_), 0);
  EXPECT_TRUE(eventually([this] { return program_.gone == 1; }));
}

TEST_F(TunnelTest, AProgramThatEndsItsSideStillHearsTheClient) {
  open_tunnel();
  say(program(), "done");
  ::shutdown(program(), SHUT_WR);
  EXPECT_EQ(hear(client_, 100), "done");  // and the end
  send("still here");
  EXPECT_EQ(hear(program(), 10), "still here");
  EXPECT_EQ(program_.gone, 0);
  ::shutdown(client_, SHUT_WR);
  EXPECT_EQ(hear(program(), 1), "");
  EXPECT_TRUE(eventually([this] { return program_.gone == 1; }));
  EXPECT_FALSE(contains(access_log(), "cut"));
}

TEST_F(TunnelTest, AClientCannotSendFasterThanTheProgramReads) {
  open_tunnel(true);
  const auto taken = fill_up(client_);
  EXPECT_LT(taken, 32U << 20U);  // what sockets hold
  const auto heard = hear(program(), taken);
  EXPECT_EQ(heard.size(), taken);
}

TEST_F(TunnelTest, AProgramCannotSendFasterThanTheClientReads) {
  open_tunnel(true);
  const auto taken = fill_up(program());
  EXPECT_LT(taken, 32U << 20U);
  EXPECT_EQ(hear(client_, taken).size(), taken);
}

TEST_F(TunnelTest, MuchGoesBothWaysAtOnceUnchanged) {
  open_tunnel(true);
  std::string up, down;
  for (std::uint32_t i = 0; i < 400'000; ++i) {
    up += std::to_string(i * 7919U);
    down += std::to_string(i * 104729U);
  }
  std::thread client_sends([&] { say(client_, up); });
  std::thread program_sends([&] { say(program(), down); });
  std::string heard_by_program;
  std::thread program_hears([&] { heard_by_program = hear(program(), up.size()); });
  const auto heard_by_client = hear(client_, down.size());
  client_sends.join();
  program_sends.join();
  program_hears.join();
  EXPECT_TRUE(heard_by_program == up);
  EXPECT_TRUE(heard_by_client == down);
}

TEST_F(TunnelTest, SilenceBothWaysEndsIt) {
  program_.idle = milliseconds(200);
  open_tunnel(true);
  for (int round = 0; round < 6; ++round) {  // either direction keeps it
    say(round % 2 == 0 ? client_ : program(), "x");
    EXPECT_EQ(hear(round % 2 == 0 ? program() : client_, 1), "x");
    std::this_thread::sleep_for(milliseconds(80));
  }
  EXPECT_EQ(how_it_ends(client_), ECONNRESET);
  EXPECT_TRUE(eventually([this] { return program_.gone == 1; }));
  EXPECT_EQ(counters_.timeouts, 1U);
}

TEST_F(TunnelTest, AClientThatTakesNothingOfWhatWaitsEndsIt) {
  server_.timeouts.send = milliseconds(200);
  open_tunnel(true);
  std::this_thread::sleep_for(milliseconds(400));  // nothing waits: the timeout does not count
  say(program(), "x");
  EXPECT_EQ(hear(client_, 1), "x");
  fill_up(program());
  EXPECT_TRUE(eventually([this] { return program_.gone == 1; }));
  EXPECT_EQ(how_it_ends(client_), ECONNRESET);
}

TEST_F(TunnelTest, AProgramThatBreaksResetsTheClient) {
  open_tunnel(true);
  say(program(), "BREAK");
  EXPECT_EQ(how_it_ends(client_), ECONNRESET);
}

TEST_F(TunnelTest, AResetByTheProgramDoesNotOvertakeWhatItHadSaid) {
  open_tunnel(true);
  send("never read");
  pollfd arrived{program(), POLLIN, 0};
  ASSERT_EQ(::poll(&arrived, 1, 10000), 1);
  const std::string last(100'000, 'l');
  say(program(), last);
  ::close(std::exchange(program_.pair[0], -1));
  std::this_thread::sleep_for(milliseconds(100));  // the client is slow to look
  EXPECT_EQ(hear(client_, last.size()).size(), last.size());
  EXPECT_EQ(how_it_ends(client_), ECONNRESET);
}

TEST_F(TunnelTest, AClientThatResetsEndsTheProgramsSide) {
  open_tunnel(true);
  const linger now{1, 0};
  ::setsockopt(client_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  leave();
  EXPECT_EQ(hear(program(), 1), "");
  EXPECT_TRUE(eventually([this] { return program_.gone == 1; }));
}

TEST_F(TunnelTest, TheLastWordOfAProgramThatClosesArrives) {
  open_tunnel(true);
  const std::string last(200'000, 'l');
  std::thread closing([this, &last] {
    say(program(), last);
    ::close(std::exchange(program_.pair[0], -1));
  });
  std::string heard;
  while (heard.size() < last.size()) {  // the client talks on, to nobody
    if (::send(client_, "more", 4, MSG_NOSIGNAL) < 0) break;
    const auto piece = hear(client_, 1000);
    heard += piece;
    if (piece.empty()) break;
  }
  closing.join();
  heard += hear(client_, last.size() - heard.size());
  EXPECT_EQ(heard.size(), last.size());
}

TEST_F(TunnelTest, OneLineInTheLogAtItsEnd) {
  open_tunnel();
  say(program(), "12345");
  EXPECT_EQ(hear(client_, 5), "12345");
  EXPECT_EQ(access_log(), "");
  ::shutdown(program(), SHUT_WR);
  ::shutdown(client_, SHUT_WR);
  EXPECT_TRUE(eventually([this] { return program_.gone == 1; }));
  const auto line = access_log();
  EXPECT_TRUE(contains(line, "\"GET /up HTTP/1.1\" 101 5 ")) << line;
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << line;
  EXPECT_EQ(counters_.responses[1], 1U);
}

TEST_F(TunnelTest, OneThatIsLetGoOfIsLoggedAndClosesTheProgramsSide) {
  server_.access_format = config::LogFormat::json;
  open_tunnel();
  stop();
  sessions_.clear();
  EXPECT_EQ(program_.gone, 1);
  EXPECT_EQ(counters_.tunnels_open, 0U);
  const auto line = access_log();
  EXPECT_TRUE(contains(line, "\"status\":101")) << line;
  EXPECT_TRUE(contains(line, "\"cut\":true")) << line;
}

TEST_F(TunnelTest, ARequestWithABodyMaySwitchWhenThatHasBeenRead) {
  connect();
  send("POST /read HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\nContent-Length: 3\r\n\r\nabctunnel");
  EXPECT_TRUE(receive("\r\n\r\n").starts_with("HTTP/1.1 101 "));
  EXPECT_EQ(hear(program(), 6), "tunnel");
}

TEST_F(TunnelTest, AnOrdinaryAnswerToAnUpgradeLeavesTheConnectionAsItIs) {
  connect();
  send("GET /ordinary"s + std::string(kUpgrade) + "GET /ordinary"s + std::string(kUpgrade));
  const auto answers = receive();
  EXPECT_EQ(answers.find("HTTP/1.1 200 OK\r\n"), 0U) << answers;
  EXPECT_NE(answers.rfind("HTTP/1.1 200 OK\r\n"), 0U) << answers;
}

class NotSwitchedTest : public TunnelTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(NotSwitchedTest, GetsA502) {
  connect();
  send(GetParam());
  const auto answer = receive();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 502 ")) << answer;
  EXPECT_FALSE(contains(answer, "Upgrade:")) << answer;
  EXPECT_TRUE(contains(access_log(), "\" 502 ")) << access_log();
}

INSTANTIATE_TEST_SUITE_P(
    Requests, NotSwitchedTest,
    ::testing::Values(
        "GET /up HTTP/1.1\r\nHost: a\r\n\r\n",                                               // had not asked
        "GET /up HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\n\r\n",                              // not of this connection
        "GET /up HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",       // cannot
        "GET /other HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",    // to something else
        "GET /bare HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",     // to nothing
        "GET /interim HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",  // no final status
        "POST /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\nContent-Length: 3\r\n\r\nabc"));

// A handler that keeps the programs' ends of all its tunnels, each of which begins with a lot of bytes.
class ManyPrograms final : public exchange::Handler {
 public:
  static constexpr std::size_t kGreeting = 40'000;
  ~ManyPrograms() override {
    for (const int fd : programs) ::close(fd);
  }
  net::Task<Result<exchange::Response>> handle(exchange::Request, exchange::Exchange& exchange) override {
    std::array<int, 2> pair{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) co_return fail_errno(errno, "a pair");
    programs.push_back(pair[0]);
    const std::string greeting(kGreeting, 'g');
    if (::send(pair[0], greeting.data(), greeting.size(), MSG_DONTWAIT) < 0) co_return fail_errno(errno, "a greeting");
    exchange::Response response;
    response.status = 101;
    response.headers.add("Upgrade", "echo");
    response.tunnel =
        std::make_unique<SocketTunnel>(exchange.world.loop, UniqueFd(pair[1]), std::chrono::hours(1), gone);
    co_return response;
  }
  std::vector<int> programs;
  std::atomic<int> gone = 0;
};

class ManyTunnelsTest : public TunnelTest {
 protected:
  std::shared_ptr<exchange::Handler> make_handler() override { return many_; }
  std::shared_ptr<ManyPrograms> many_ = std::make_shared<ManyPrograms>();
};

TEST_F(ManyTunnelsTest, AnIdleOneCostsLittle) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  const std::size_t count = std::min<std::size_t>(2000, (files.rlim_cur - 200) / 4);
  server_.timeouts.head = std::chrono::minutes(5);
  connect();
  std::vector<std::array<int, 2>> clients(count);
  for (auto& pair : clients) ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
  const auto before = ::mallinfo2().uordblks;
  loop_->post([this, &clients] {
    for (auto& pair : clients) sessions_.start(run_session(*state_, UniqueFd(pair[1])));
  });
  const std::string upwards(30'000, 'u');
  const auto request = "GET /up HTTP/1.1\r\nHost: a\r\nX-Padding: " + std::string(700, 'p') +
                       "\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
  for (const auto& pair : clients) {
    say(pair[0], request);
    while (true) {
      std::array<char, 1> byte{};
      ASSERT_EQ(::recv(pair[0], byte.data(), 1, 0), 1);
      if (byte[0] == 'g') break;
    }
    ASSERT_EQ(hear(pair[0], ManyPrograms::kGreeting - 1).size(), ManyPrograms::kGreeting - 1);
    say(pair[0], upwards);
    ASSERT_EQ(hear(many_->programs.back(), upwards.size()).size(), upwards.size());
  }
  ASSERT_EQ(counters_.tunnels_open, count);
  const auto each = (::mallinfo2().uordblks - before) / count;
  std::printf("%zu idle tunnels, %zu bytes each\n", count, each);
  EXPECT_LT(each, 12U * 1024U);  // the program's half of the test included
  for (const auto& pair : clients) ::close(pair[0]);
}

// The whole server: what a reload and a drain do to tunnels.
class ServedTunnelTest : public TunnelTest {
 protected:
  void serve() {
    auto config = std::make_shared<config::Config>();
    config::Route route;
    route.path = "/*";
    route.action = config::Action::metrics;
    config->routes.push_back(route);
    Handlers handlers;
    handlers.routes.push_back(make_handler());
    config_ = config;
    server_side_ = std::make_unique<HttpServer>(std::vector<exchange::World*>{&world_}, *log_, nullptr,
                                                std::make_shared<Site>(config, std::move(handlers)));
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), length), 0);
    ASSERT_EQ(::listen(listener, 8), 0);
    ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length), 0);
    std::vector<ListeningSocket> sockets(1);
    sockets[0].listen.address = "127.0.0.1:0";
    sockets[0].fds.emplace_back(listener);
    server_side_->set_listeners(std::move(sockets));
    thread_ = std::thread([this] { loop_->run(); });
    client_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::connect(client_, reinterpret_cast<sockaddr*>(&address), length), 0);
    send("GET /up"s + std::string(kUpgrade));
    ASSERT_TRUE(receive("\r\n\r\n").starts_with("HTTP/1.1 101 "));
  }
  ~ServedTunnelTest() override { stop(); }
  void goes_on() {
    send("up");
    EXPECT_EQ(hear(program(), 2), "up");
    say(program(), "down");
    EXPECT_EQ(hear(client_, 4), "down");
  }

  std::shared_ptr<const config::Config> config_;
  std::unique_ptr<HttpServer> server_side_;
};

TEST_F(ServedTunnelTest, AReloadLeavesItUntouched) {
  serve();
  Handlers handlers;
  handlers.routes.push_back(make_handler());
  server_side_->set_site(std::make_shared<Site>(config_, std::move(handlers)));
  goes_on();
}

TEST_F(ServedTunnelTest, ADrainLetsItGoOnUntilTheDeadlineAndThenResetsIt) {
  serve();
  std::atomic<bool> drained = false;
  const auto began = net::Clock::now();
  server_side_->drain(milliseconds(500), HttpServer::Idle::close, [&drained] { drained = true; });
  goes_on();
  EXPECT_FALSE(drained);
  EXPECT_EQ(how_it_ends(client_), ECONNRESET);
  EXPECT_GE(net::Clock::now() - began, milliseconds(500));
  EXPECT_TRUE(eventually([&drained] { return drained.load(); }));
  EXPECT_EQ(program_.gone, 1);
}

}  // namespace
}  // namespace fivefold::serve
