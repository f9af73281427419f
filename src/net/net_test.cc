#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "net/blocking.h"
#include "net/channel.h"
#include "net/net_testing.h"
#include "net/stream.h"

namespace fivefold::net {
namespace {

using std::chrono::milliseconds;

struct Pair {
  std::array<int, 2> fds{-1, -1};
  explicit Pair(int type = SOCK_STREAM) { EXPECT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds.data()), 0); }
};

Task<void> echo_bytes(Stream& stream, std::string& seen) {
  while (seen.size() < 5) {
    auto got = co_await stream.fill();
    if (!got || *got == 0) co_return;
    seen += stream.buffered();
    stream.consume(stream.buffered().size());
  }
}

TEST(Stream, FillTakesWhatArrives) {
  Loop loop(0);
  Pair pair;
  Stream stream(loop, UniqueFd(pair.fds[0]));
  std::string seen;
  std::thread writer([&] {
    for (const char c : std::string("hello")) EXPECT_EQ(::write(pair.fds[1], &c, 1), 1);
  });
  run(loop, echo_bytes(stream, seen));
  writer.join();
  EXPECT_EQ(seen, "hello");
  ::close(pair.fds[1]);
}

Task<void> fill_until(Stream& stream, TimePoint deadline, Result<std::size_t>& out) {
  out = co_await stream.fill(deadline);
}

TEST(Stream, FillEndsAtItsDeadline) {
  Loop loop(0);
  Pair pair;
  Stream stream(loop, UniqueFd(pair.fds[0]));
  Result<std::size_t> out;
  run(loop, fill_until(stream, Clock::now() + milliseconds(60), out));
  ASSERT_FALSE(out.has_value());
  EXPECT_EQ(out.error().code, Code::timed_out);
  ::close(pair.fds[1]);
}

TEST(Stream, EndOfStreamIsZeroAndStays) {
  Loop loop(0);
  Pair pair;
  Stream stream(loop, UniqueFd(pair.fds[0]));
  ::close(pair.fds[1]);
  Result<std::size_t> out = fail(Code::internal, "unset");
  run(loop, fill_until(stream, kNever, out));
  EXPECT_EQ(out.value(), 0u);
  run(loop, fill_until(stream, kNever, out));
  EXPECT_EQ(out.value(), 0u);
}

Task<void> abandon_then_fill(Loop& loop, Stream& stream, int peer, std::string& seen) {
  {
    Result<std::size_t> ignored;
    Running waiting(fill_until(stream, kNever, ignored));
  }  // let go of while the read is under way
  EXPECT_EQ(::write(peer, "kept", 4), 4);
  co_await sleep_until(loop, Clock::now() + milliseconds(60));
  auto got = co_await stream.fill();
  EXPECT_TRUE(got.has_value());
  seen = stream.buffered();
}

TEST(Stream, AReadThatWasLetGoOfKeepsItsBytes) {
  Loop loop(0);
  Pair pair;
  Stream stream(loop, UniqueFd(pair.fds[0]));
  std::string seen;
  run(loop, abandon_then_fill(loop, stream, pair.fds[1], seen));
  EXPECT_EQ(seen, "kept");
  ::close(pair.fds[1]);
}

Task<int> sleep_long(Loop& loop) {
  co_await sleep_until(loop, Clock::now() + std::chrono::hours(1));
  co_return 1;
}
Task<void> stop_when_peer_leaves(Loop& loop, Stream& stream, bool& stopped) {
  StopSource stop;
  stream.watch_close(stop);
  auto result = co_await until(sleep_long(loop), stop);
  stopped = !result.has_value();
}

TEST(Stream, WatchCloseStopsTheWorkWhenThePeerLeaves) {
  Loop loop(0);
  Pair pair;
  Stream stream(loop, UniqueFd(pair.fds[0]));
  bool stopped = false;
  std::thread closer([&] { ::close(pair.fds[1]); });
  run(loop, stop_when_peer_leaves(loop, stream, stopped));
  closer.join();
  EXPECT_TRUE(stopped);
}

Task<void> read_pinned(Stream& stream, std::string& head_seen, std::size_t& body_seen) {
  while (stream.buffered().size() < 100) {
    if (auto got = co_await stream.fill(); !got) co_return;
  }
  const std::string_view head = stream.buffered().substr(0, 100);
  stream.pin(100);
  while (true) {
    body_seen += stream.buffered().size();
    stream.consume(stream.buffered().size());
    if (body_seen >= 300000) break;
    auto got = co_await stream.fill();
    if (!got || *got == 0) break;
  }
  head_seen = head;
  stream.unpin();
}

TEST(Stream, APinnedHeadStaysWhileABodyIsRead) {
  Loop loop(0);
  Pair pair;
  Stream stream(loop, UniqueFd(pair.fds[0]));
  std::string head;
  std::size_t body = 0;
  std::thread writer([&] {
    std::string bytes(100, 'h');
    bytes.append(300000, 'b');
    for (std::size_t done = 0; done < bytes.size();) {
      const ssize_t n = ::write(pair.fds[1], bytes.data() + done, bytes.size() - done);
      ASSERT_GT(n, 0);
      done += static_cast<std::size_t>(n);
    }
  });
  run(loop, read_pinned(stream, head, body));
  writer.join();
  EXPECT_EQ(head, std::string(100, 'h'));
  EXPECT_EQ(body, 300000u);
  ::close(pair.fds[1]);
}

Task<void> write_much(Stream& stream, std::size_t bytes, Result<void>& out) {
  const std::string text(bytes, 'x');
  out = co_await stream.write_all(text, milliseconds(100));
}

TEST(Stream, WriteAllGivesUpOnAPeerThatTakesNothing) {
  Loop loop(0);
  Pair pair;
  Stream stream(loop, UniqueFd(pair.fds[0]));
  Result<void> out;
  run(loop, write_much(stream, 8 << 20, out));
  ASSERT_FALSE(out.has_value());
  EXPECT_EQ(out.error().code, Code::timed_out);
  ::close(pair.fds[1]);
}

TEST(Stream, WritingToAClosedPeerIsClosed) {
  Loop loop(0);
  Pair pair;
  Stream stream(loop, UniqueFd(pair.fds[0]));
  ::close(pair.fds[1]);
  Result<void> out;
  run(loop, write_much(stream, 10, out));
  ASSERT_FALSE(out.has_value());
  EXPECT_EQ(out.error().code, Code::closed);
}

TEST(Timer, FiresInOrderAndNeverEarly) {
  Loop loop(0);
  struct Fired {
    Loop& loop;
    TimePoint at;
    std::vector<long>& order;
    long name;
    static void fire(void* self) {
      auto* fired = static_cast<Fired*>(self);
      EXPECT_GE(Clock::now(), fired->at);
      fired->order.push_back(fired->name);
      if (fired->order.size() == 3) fired->loop.stop();
    }
  };
  std::vector<long> order;
  const auto now = Clock::now();
  Fired a{loop, now + milliseconds(160), order, 1}, b{loop, now + milliseconds(20), order, 2},
      c{loop, now + milliseconds(320), order, 3};
  Timer ta(loop.timers(), &Fired::fire, &a), tb(loop.timers(), &Fired::fire, &b), tc(loop.timers(), &Fired::fire, &c);
  ta.set(now + std::chrono::hours(2));  // beyond the wheel, then moved closer
  ta.set(a.at);
  tb.set(b.at);
  tc.set(now + milliseconds(10));  // then moved later
  tc.set(c.at);
  loop.run();
  EXPECT_EQ(order, (std::vector<long>{2, 1, 3}));
}

TEST(Timer, CancelledOnesDoNotFire) {
  Loop loop(0);
  bool fired = false;
  Timer cancelled(loop.timers(), [](void* flag) { *static_cast<bool*>(flag) = true; }, &fired);
  cancelled.set(Clock::now() + milliseconds(10));
  cancelled.cancel();
  Timer end(loop.timers(), [](void* self) { static_cast<Loop*>(self)->stop(); }, &loop);
  end.set(Clock::now() + milliseconds(120));
  loop.run();
  EXPECT_FALSE(fired);
}

Task<void> ask_pool(BlockingPool& pool, Loop& loop, std::thread::id& where, int& result) {
  result = co_await offload(pool, loop, [&where] {
    where = std::this_thread::get_id();
    return 42;
  });
}

TEST(BlockingPool, RunsElsewhereAndResumesHere) {
  BlockingPool pool(1);
  Loop loop(0);
  std::thread::id where;
  int result = 0;
  run(loop, ask_pool(pool, loop, where, result));
  EXPECT_EQ(result, 42);
  EXPECT_NE(where, std::this_thread::get_id());
}

TEST(Channel, CarriesMessagesAndDescriptors) {
  Loop loop(0);
  Pair pair(SOCK_SEQPACKET);
  std::string seen;
  std::size_t descriptors = 0;
  Channel channel(
      loop, UniqueFd(pair.fds[0]),
      [&](std::string_view message, std::vector<UniqueFd> fds) {
        seen += message;
        descriptors += fds.size();
      },
      [&] { loop.stop(); });
  const std::array<int, 1> fds{STDIN_FILENO};
  ASSERT_TRUE(send_message(pair.fds[1], "one,", fds));
  ASSERT_TRUE(send_message(pair.fds[1], "two"));
  ::close(pair.fds[1]);
  loop.run();
  EXPECT_EQ(seen, "one,two");
  EXPECT_EQ(descriptors, 1u);
}

}  // namespace
}  // namespace fivefold::net
