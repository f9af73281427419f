#pragma once
// Real bytes over a socket pair, a handler of the test's own behind it.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <thread>

#include "process/child.h"
#include "serve/http1_session.h"

namespace fivefold::serve {

using namespace std::string_literals;
using std::chrono::milliseconds;

class NoSpawner final : public process::Spawner {
 public:
  net::Task<Result<std::unique_ptr<process::Child>>> spawn(process::SpawnPlan) override {
    co_return fail(Code::program_unavailable, "none");
  }
};

inline net::Task<void> run_session(LoopState& loop, UniqueFd fd) {
  exchange::Peer peer;
  peer.address = "192.0.2.7";
  Http1Session session(loop, std::move(fd), std::move(peer), false);
  co_await session.run();
}

class SessionFixture : public ::testing::Test {
 protected:
  SessionFixture() {
    server_.timeouts.head = milliseconds(300);
    server_.timeouts.body = milliseconds(300);
    server_.timeouts.idle = milliseconds(300);
    server_.timeouts.linger = milliseconds(300);
    server_.limits.body = 1000;
  }
  ~SessionFixture() override {
    stop();
    if (client_ >= 0) ::close(client_);
  }

  // Ends the loop; what is left of the session goes with `sessions_`.
  void stop() {
    if (!thread_.joinable()) return;
    loop_->stop();
    thread_.join();
  }

  // One for each test; lives as long as the site.
  virtual std::shared_ptr<exchange::Handler> make_handler() = 0;

  // Over TCP for what only that can show: a reset.
  static void make_tcp_pair(std::array<int, 2>& fds) {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), length), 0);
    ASSERT_EQ(::listen(listener, 1), 0);
    ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length), 0);
    fds[0] = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::connect(fds[0], reinterpret_cast<sockaddr*>(&address), length), 0);
    fds[1] = ::accept(listener, nullptr, nullptr);
    ::close(listener);
  }

  void connect(bool tcp = false) {
    std::array<int, 2> fds{};
    if (tcp)
      make_tcp_pair(fds);
    else
      ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0);
    client_ = fds[0];
    auto config = std::make_shared<config::Config>();
    config->server = server_;
    config::Route route;
    route.path = "/*";
    route.action = config::Action::metrics;  // any action with a handler of its own
    config->routes.push_back(route);
    Handlers handlers;
    handlers.routes.push_back(make_handler());
    state_->site = std::make_shared<LoopSite>(LoopSite{std::make_shared<Site>(config, std::move(handlers))});
    sessions_.start(run_session(*state_, UniqueFd(fds[1])));
    thread_ = std::thread([this] { loop_->run(); });
  }

  void send(std::string_view bytes) {
    ASSERT_EQ(::send(client_, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }

  // Everything until the server closes (clean: true, reset: false), or until `enough` has been seen.
  std::string receive(std::string_view enough = {}) {
    std::string all;
    while (true) {
      if (!enough.empty() && all.find(enough) != std::string::npos) return all;
      pollfd wait{client_, POLLIN, 0};
      if (::poll(&wait, 1, 10000) != 1) {
        ADD_FAILURE() << "nothing came; so far: " << all;
        return all;
      }
      std::array<char, 4096> buffer{};
      const ssize_t got = ::recv(client_, buffer.data(), buffer.size(), 0);
      if (got <= 0) return all;
      all.append(buffer.data(), static_cast<std::size_t>(got));
    }
  }

  // The access log so far.
  std::string access_log() {
    access_file_.flush();
    std::string text(65536, '\0');
    const ssize_t got = ::pread(access_fd_.get(), text.data(), text.size(), 0);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
  }

  // Waits until `condition` holds, for long at most.
  template <class Condition>
  static bool eventually(Condition&& condition) {
    const auto give_up = net::Clock::now() + std::chrono::seconds(10);
    while (!condition()) {
      if (net::Clock::now() > give_up) return false;
      std::this_thread::yield();
    }
    return true;
  }

  std::string exchange_once(std::string_view request) {
    connect();
    send(request);
    return receive();
  }

  config::Server server_;
  std::unique_ptr<net::Loop> loop_ = std::make_unique<net::Loop>(0);
  net::BlockingPool blocking_{1};
  NoSpawner spawner_;
  exchange::World world_{*loop_, blocking_, spawner_};
  LineFile log_file_{UniqueFd(::dup(2))};
  std::shared_ptr<Log> log_ = make_log(log_file_, "critical");
  UniqueFd access_fd_{::memfd_create("access log", MFD_CLOEXEC)};
  LineFile access_file_{UniqueFd(::dup(access_fd_.get()))};
  Counters counters_;
  std::unique_ptr<LoopState> state_ = std::make_unique<LoopState>(world_, *log_, &access_file_, counters_);
  net::TaskGroup sessions_;
  std::thread thread_;
  int client_ = -1;
};

inline constexpr std::string_view kClose = " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

inline bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace fivefold::serve
