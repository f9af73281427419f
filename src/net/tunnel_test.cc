// Both directions of one stream at once, in clear and in TLS, as a tunnel uses it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "net/net_testing.h"
#include "net/tls_client.h"
#include "net/tls_connection.h"
#include "net/tls_testing.h"

namespace fivefold::net {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

constexpr std::size_t kMuch = 10 << 20;

std::string varied(std::size_t size) {
  std::string bytes(size, '\0');
  std::uint32_t state = 1;
  for (char& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

// What the peer of a stream does, blocking, on its thread.
class Peer {
 public:
  Peer(SSL* ssl, int fd) : ssl_(ssl), fd_(fd) {}
  int read(char* into, std::size_t room) {
    if (ssl_) return SSL_read(ssl_, into, static_cast<int>(room));
    return static_cast<int>(::read(fd_, into, room));
  }
  bool write(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto written = ssl_ ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                                : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (written <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
  }
  void end() {
    if (ssl_)
      SSL_shutdown(ssl_);
    else
      ::shutdown(fd_, SHUT_WR);
  }
  std::string read_to_end() {
    std::string all;
    char bytes[65536];
    for (int got; (got = read(bytes, sizeof bytes)) > 0;) all.append(bytes, static_cast<std::size_t>(got));
    ended_well = !ssl_ || (SSL_get_shutdown(ssl_) & SSL_RECEIVED_SHUTDOWN);
    return all;
  }
  int fd() const { return fd_; }
  bool ended_well = false;

 private:
  SSL* ssl_;
  int fd_;
};

struct Transport {
  bool tls;
  int version;
};

class TunnelTest : public testing::TestWithParam<Transport> {
 protected:
  using Work = std::function<void(Peer&)>;
  // A stream whose peer does `work`.
  void connect(Work work) {
    if (!GetParam().tls) {
      std::array<int, 2> fds{};
      ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0);
      stream.emplace(loop, UniqueFd(fds[0]));
      plain = std::thread([this, work = std::move(work), fd = fds[1]] {
        const UniqueFd own(fd);
        Peer peer(nullptr, fd);
        work(peer);
        worked = true;
      });
      return;
    }
    server.emplace(TlsServer::Wishes{identity, nullptr, GetParam().version},
                   [this, work = std::move(work)](SSL* ssl, int fd) {
                     Peer peer(ssl, fd);
                     work(peer);
                     worked = true;
                   });
    stream.emplace(loop, std::move(server->client));
    auto client = TlsClient::make({.server_name = "app.test", .ca_file = files.certificate(identity)});
    ASSERT_TRUE(client.has_value()) << client.error().message;
    const auto started =
        result_of<Result<void>>(loop, (*client)->start(*stream, Clock::now() + std::chrono::seconds(10)), {});
    ASSERT_TRUE(started.has_value()) << started.error().message;
  }
  // The loop runs on meanwhile: an end may wait for room in the kernel.
  void join() {
    const auto guard = Clock::now() + std::chrono::seconds(20);
    while (!worked && stream && Clock::now() < guard) {
      loop.context().restart();
      loop.context().run_one_for(milliseconds(5));
    }
    if (stream && !worked) {
      ADD_FAILURE() << "the peer did not end";
      stream.reset();
    }
    if (plain.joinable()) plain.join();
    if (server) server->join();
  }
  void TearDown() override {
    stream.reset();
    join();
  }

  Identity identity = make_identity({});
  PemFiles files;
  Loop loop{0};
  std::atomic<bool> worked = false;
  std::optional<TlsServer> server;
  std::thread plain;
  std::optional<Stream> stream;
};

struct Directions {
  explicit Directions(Loop& loop) : done(loop) {
    group.on_empty([this] { done.set(); });
  }
  Event done;
  TaskGroup group;
  Result<void> written = fail(Code::internal, "unset");
  Result<std::size_t> last = fail(Code::internal, "unset");
  std::string received;
};

Task<void> write_then_end(Stream& stream, std::string_view bytes, Directions& both, bool end) {
  both.written = co_await stream.write_all(bytes, milliseconds(10'000));
  if (end) stream.shutdown_write();
}
Task<void> read_to_end(Stream& stream, Directions& both) {
  while (true) {
    both.last = co_await stream.fill();
    if (!both.last || *both.last == 0) co_return;
    both.received += stream.buffered();
    stream.consume(stream.buffered().size());
  }
}
Task<void> both_ways(Stream& stream, std::string_view bytes, Directions& both) {
  both.group.start(read_to_end(stream, both));
  both.group.start(write_then_end(stream, bytes, both, true));
  co_await both.done.wait();
}

TEST_P(TunnelTest, MuchGoesBothWaysAtOnce) {
  const std::string bytes = varied(kMuch);
  std::string seen;
  connect([&](Peer& peer) {  // an echo
    char some[40'000];
    for (int got; (got = peer.read(some, sizeof some)) > 0;) {
      seen.append(some, static_cast<std::size_t>(got));
      if (!peer.write({some, static_cast<std::size_t>(got)})) break;
    }
    peer.end();
  });
  Directions both(loop);
  run(loop, both_ways(*stream, bytes, both));
  join();
  EXPECT_TRUE(both.written.has_value());
  EXPECT_TRUE(both.last.has_value());
  EXPECT_TRUE(seen == bytes);
  EXPECT_TRUE(both.received == bytes);
}

TEST_P(TunnelTest, ReadingGoesOnWhileNothingCanBeWritten) {
  const std::string bytes = varied(kMuch);
  std::string seen;
  connect([&](Peer& peer) {  // takes nothing until all of its own has been sent
    EXPECT_TRUE(peer.write(bytes));
    peer.end();
    seen = peer.read_to_end();
  });
  Directions both(loop);
  run(loop, both_ways(*stream, bytes, both));
  join();
  EXPECT_TRUE(both.received == bytes);
  EXPECT_TRUE(seen == bytes);
}

TEST_P(TunnelTest, TheAnswerComesAfterTheEndOfTheQuestion) {
  bool ended_well = false;
  connect([&](Peer& peer) {
    const std::string question = peer.read_to_end();
    ended_well = peer.ended_well;
    EXPECT_TRUE(peer.write("you said " + question));
    peer.end();
  });
  Directions both(loop);
  run(loop, both_ways(*stream, "hello", both));
  join();
  EXPECT_TRUE(ended_well);
  EXPECT_EQ(both.received, "you said hello");
  EXPECT_EQ(both.last.value(), 0u);
}

// The end waits behind what the kernel has not taken, and nobody awaits anything.
TEST_P(TunnelTest, TheEndOfWritingFollowsAllThatWasWritten) {
  const std::string bytes = varied(kMuch);
  std::string seen;
  bool ended_well = false;
  connect([&](Peer& peer) {
    seen = peer.read_to_end();
    ended_well = peer.ended_well;
    peer.end();
  });
  Directions both(loop);
  run(loop, write_then_end(*stream, bytes, both, true));
  run(loop, read_to_end(*stream, both));
  join();
  EXPECT_TRUE(seen == bytes);
  EXPECT_TRUE(ended_well);
}

Task<void> send_file(Stream& stream, int file, std::uint64_t size, Result<std::size_t>& out) {
  std::uint64_t offset = 0;
  while (offset < size) {
    const auto before = offset;
    out = stream.send_file_some(file, offset, size - offset);
    if (!out) co_return;
    EXPECT_EQ(offset, before + *out);
    if (*out > 0) continue;
    auto ready = co_await stream.writable();
    if (!ready) co_return;
  }
  stream.shutdown_write();
}

TEST_P(TunnelTest, FilesArriveWhole) {
  const std::string bytes = varied(kMuch + 17);
  const UniqueFd file(::open(files.text(bytes).c_str(), O_RDONLY | O_CLOEXEC));
  std::string seen;
  connect([&](Peer& peer) { seen = peer.read_to_end(); });
  Result<std::size_t> out;
  run(loop, send_file(*stream, file.get(), bytes.size(), out));
  join();
  EXPECT_TRUE(seen == bytes);
  std::uint64_t beyond = bytes.size();
  EXPECT_FALSE(stream->send_file_some(file.get(), beyond, 10).has_value());
}

TEST_P(TunnelTest, ManyPartsArriveInOrder) {
  std::string seen;
  connect([&](Peer& peer) { seen = peer.read_to_end(); });
  std::string large = varied(30'000);
  std::string small = "head", empty;
  const std::array<iovec, 5> parts{iovec{small.data(), small.size()}, iovec{empty.data(), 0},
                                   iovec{large.data(), large.size()}, iovec{small.data(), small.size()},
                                   iovec{empty.data(), 0}};
  const auto written = stream->write_some(parts);
  EXPECT_EQ(written.value(), 30'008u);
  stream->shutdown_write();
  join();
  EXPECT_TRUE(seen == small + large + small);
}

Task<void> fill_once(Stream& stream, TimePoint deadline, Result<std::size_t>& out) {
  out = co_await stream.fill(deadline);
}
Task<void> watch(Loop& loop, Stream& stream, Event& never, bool& stopped) {
  StopSource stop;
  stream.watch_close(stop);
  struct Forever {
    static Task<int> wait(Event& event) {
      co_await event.wait();
      co_return 0;
    }
  };
  stopped = !(co_await until(Forever::wait(never), stop)).has_value();
  (void)loop;
}

TEST_P(TunnelTest, DeadlinesInterruptsAndWatchingKeepTheirMeaning) {
  std::array<int, 2> gate{};
  ASSERT_EQ(::pipe2(gate.data(), O_CLOEXEC), 0);
  const UniqueFd gate_out(gate[0]), gate_in(gate[1]);
  const auto pass = [&] { EXPECT_EQ(::write(gate_in.get(), "x", 1), 1); };
  connect([&](Peer& peer) {
    char byte = 0;
    EXPECT_EQ(::read(gate_out.get(), &byte, 1), 1);
    EXPECT_TRUE(peer.write("kept"));
    EXPECT_EQ(::read(gate_out.get(), &byte, 1), 1);
    peer.end();
  });
  Result<std::size_t> out;
  run(loop, fill_once(*stream, Clock::now() + milliseconds(60), out));
  ASSERT_FALSE(out.has_value());
  EXPECT_EQ(out.error().code, Code::timed_out);
  {
    Running waiting(fill_once(*stream, kNever, out));
    stream->interrupt();
    ASSERT_TRUE(waiting.done());
    EXPECT_EQ(out.error().code, Code::timed_out);
  }
  {
    Running let_go(fill_once(*stream, kNever, out));
  }
  pass();  // the read that was let go of keeps what comes
  run(loop, fill_once(*stream, kNever, out));
  EXPECT_EQ(stream->buffered(), "kept");
  bool stopped = false;
  Event never(loop);
  pass();
  run(loop, watch(loop, *stream, never, stopped));
  EXPECT_TRUE(stopped);
  EXPECT_EQ(stream->buffered(), "kept");
}

TEST_P(TunnelTest, APinnedHeadStaysWhileABodyIsRead) {
  const std::string body = varied(300'000);
  connect([&](Peer& peer) {
    EXPECT_TRUE(peer.write(std::string(100, 'h') + body));
    peer.end();
  });
  Result<std::size_t> out;
  while (stream->buffered().size() < 100) run(loop, fill_once(*stream, kNever, out));
  const std::string_view head = stream->buffered().substr(0, 100);
  stream->pin(100);
  Directions both(loop);
  both.received = stream->buffered();
  stream->consume(stream->buffered().size());
  run(loop, read_to_end(*stream, both));
  EXPECT_TRUE(both.received == body);
  EXPECT_EQ(head, std::string(100, 'h'));
  stream->unpin();
}

TEST_P(TunnelTest, APeerThatTakesNothingIsGivenUp) {
  std::array<int, 2> gate{};
  ASSERT_EQ(::pipe2(gate.data(), O_CLOEXEC), 0);
  const UniqueFd gate_out(gate[0]);
  UniqueFd gate_in(gate[1]);
  connect([&](Peer&) {
    char byte = 0;
    EXPECT_EQ(::read(gate_out.get(), &byte, 1), 0);
  });
  Result<void> out = result_of<Result<void>>(loop, stream->write_all(varied(kMuch), milliseconds(100)), {});
  ASSERT_FALSE(out.has_value());
  EXPECT_EQ(out.error().code, Code::timed_out);
  gate_in.reset();
}

TEST_P(TunnelTest, WritingToAPeerThatIsGoneIsClosed) {
  connect([](Peer&) {});
  join();
  Result<void> out = result_of<Result<void>>(loop, stream->write_all(varied(kMuch), milliseconds(1000)), {});
  ASSERT_FALSE(out.has_value());
  EXPECT_EQ(out.error().code, Code::closed);
}

INSTANTIATE_TEST_SUITE_P(Transports, TunnelTest,
                         testing::Values(Transport{false, 0}, Transport{true, TLS1_2_VERSION},
                                         Transport{true, TLS1_3_VERSION}),
                         [](const auto& info) {
                           if (!info.param.tls) return std::string("Plain");
                           return std::string(info.param.version == TLS1_2_VERSION ? "Tls12" : "Tls13");
                         });

// The same inside of a stream carries the accepting end.
Task<void> accept_and_answer(Stream& stream, std::unique_ptr<detail::TlsConnection> tls, std::string& seen) {
  auto started = co_await detail::TlsStart::run(stream, tls, Clock::now() + std::chrono::seconds(10));
  EXPECT_TRUE(started.has_value());
  if (!started) co_return;
  Directions ends(stream.loop());
  co_await read_to_end(stream, ends);
  seen = ends.received;
  auto written = co_await stream.write_all(seen, milliseconds(10'000));
  EXPECT_TRUE(written.has_value());
  stream.shutdown_write();
}
Task<void> ask(Stream& stream, TlsClient& client, std::string_view question, Directions& both) {
  auto started = co_await client.start(stream, Clock::now() + std::chrono::seconds(10));
  EXPECT_TRUE(started.has_value());
  if (!started) co_return;
  co_await both_ways(stream, question, both);
}

TEST(TlsConnection, SpeaksBothEndsOnOneLoop) {
  const Identity identity = make_identity({});
  PemFiles files;
  std::array<int, 2> fds{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0);
  Loop loop(0);
  Stream ours(loop, UniqueFd(fds[0])), theirs(loop, UniqueFd(fds[1]));
  const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  SSL_CTX_use_certificate(context.get(), identity.certificate.get());
  SSL_CTX_use_PrivateKey(context.get(), identity.key.get());
  SSL* accepting = SSL_new(context.get());
  SSL_set_accept_state(accepting);
  auto client = TlsClient::make({.server_name = "app.test", .ca_file = files.certificate(identity)});
  ASSERT_TRUE(client.has_value());
  const std::string question = varied(kMuch);
  std::string seen;
  Directions both(loop);
  Running answering(accept_and_answer(theirs, std::make_unique<detail::TlsConnection>(accepting, theirs.fd()), seen));
  run(loop, ask(ours, **client, question, both));
  EXPECT_TRUE(seen == question);
  EXPECT_TRUE(both.received == question);
}

}  // namespace
}  // namespace fivefold::net
