#include "process/admission.h"

#include <gtest/gtest.h>

#include <thread>

namespace fivefold::process {
namespace {

using std::chrono::milliseconds;

struct Bench {
  net::Loop loop{0};
  std::vector<std::string> story;
  void run(milliseconds time) {
    net::Timer end(loop.timers(), [](void* self) { static_cast<Bench*>(self)->loop.stop(); }, this);
    end.set(loop.now() + time);
    loop.run();
  }
};

// Takes a place, says so, and holds it until `leave` is set.
net::Task<void> visitor(Bench& bench, std::shared_ptr<Admission> admission, std::string name, net::Event& leave) {
  auto place = co_await admission->enter(bench.loop);
  bench.story.push_back(place ? name + " in" : name + " refused: " + place.error().detail);
  if (!place) {
    EXPECT_EQ(place.error().code, Code::program_unavailable);
    co_return;
  }
  co_await leave.wait();
}

net::Task<void> orderly(Bench& bench, std::shared_ptr<Admission> admission, bool& done) {
  net::Event leave_a(bench.loop), leave_b(bench.loop), leave_c(bench.loop), leave_d(bench.loop);
  net::Running a(visitor(bench, admission, "a", leave_a));
  net::Running b(visitor(bench, admission, "b", leave_b));
  net::Running c(visitor(bench, admission, "c", leave_c));
  net::Running d(visitor(bench, admission, "d", leave_d));
  EXPECT_EQ(bench.story, (std::vector<std::string>{"a in", "d refused: 5"}));
  EXPECT_EQ(admission->running(), 1u);
  EXPECT_EQ(admission->waiting(), 2u);
  leave_a.set();
  while (bench.story.size() < 3) co_await net::sleep_until(bench.loop, bench.loop.now() + milliseconds(1));
  EXPECT_EQ(bench.story.back(), "b in");
  leave_b.set();
  while (bench.story.size() < 4) co_await net::sleep_until(bench.loop, bench.loop.now() + milliseconds(1));
  EXPECT_EQ(bench.story.back(), "c in");
  leave_c.set();
  while (admission->running() != 0) co_await net::sleep_until(bench.loop, bench.loop.now() + milliseconds(1));
  done = true;
  bench.loop.stop();
}
TEST(Admission, AdmitsInOrderAndRefusesWhenTheQueueIsFull) {
  Bench bench;
  bool done = false;
  net::Running running(
      orderly(bench, std::make_shared<Admission>(AdmissionLimits{.concurrency = 1, .queue = 2}), done));
  if (!done) bench.run(milliseconds(5000));
  EXPECT_TRUE(done);
}

net::Task<void> impatient(Bench& bench, std::shared_ptr<Admission> admission, bool& done) {
  net::Event never(bench.loop);
  net::Running a(visitor(bench, admission, "a", never));
  const auto start = bench.loop.now();
  auto place = co_await admission->enter(bench.loop);
  EXPECT_FALSE(place);
  EXPECT_EQ(place.error().code, Code::program_unavailable);
  EXPECT_NE(place.error().message.find("within 100 ms"), std::string::npos);
  EXPECT_GE(bench.loop.now() - start, milliseconds(100));
  EXPECT_EQ(admission->waiting(), 0u);
  done = true;
  bench.loop.stop();
}
TEST(Admission, WaitingTooLongIsRefused) {
  Bench bench;
  bool done = false;
  net::Running running(impatient(
      bench, std::make_shared<Admission>(AdmissionLimits{.concurrency = 1, .queue_timeout = milliseconds(100)}), done));
  bench.run(milliseconds(5000));
  EXPECT_TRUE(done);
}

net::Task<void> leaving(Bench& bench, std::shared_ptr<Admission> admission, bool& done) {
  net::Event leave(bench.loop), never(bench.loop);
  net::Running a(visitor(bench, admission, "a", leave));
  net::Running c;
  {
    net::Running b(visitor(bench, admission, "b", never));
    c = net::Running(visitor(bench, admission, "c", never));
    EXPECT_EQ(admission->waiting(), 2u);
  }
  EXPECT_EQ(admission->waiting(), 1u) << "one that is let go of leaves the queue";
  {
    net::Running d(visitor(bench, admission, "d", never));
    a = net::Running();  // its place goes to c, whose loop has not run since
    EXPECT_EQ(admission->running(), 1u);
    EXPECT_EQ(admission->waiting(), 1u);
    c = net::Running();  // which goes before it took it: the place is d's
    EXPECT_EQ(admission->running(), 1u);
    EXPECT_EQ(admission->waiting(), 0u);
  }
  EXPECT_EQ(admission->running(), 0u);
  EXPECT_EQ(bench.story, std::vector<std::string>{"a in"});
  done = true;
  bench.loop.stop();
  co_return;
}
TEST(Admission, WhoLeavesWhileWaitingTakesNoPlaceAlong) {
  Bench bench;
  bool done = false;
  net::Running running(leaving(bench, std::make_shared<Admission>(AdmissionLimits{.concurrency = 1}), done));
  EXPECT_TRUE(done);
}

TEST(Admission, ZeroIsNoCap) {
  Bench bench;
  auto admission = std::make_shared<Admission>(AdmissionLimits{.concurrency = 0, .queue = 0});
  net::Event never(bench.loop);
  std::vector<net::Running> many;
  for (int i = 0; i < 100; ++i) many.emplace_back(visitor(bench, admission, "x", never));
  EXPECT_EQ(admission->running(), 100u);
}

net::Task<void> busy(net::Loop& loop, std::shared_ptr<Admission> admission, std::atomic<int>& inside,
                     std::atomic<int>& most, std::atomic<int>& left) {
  for (int i = 0; i < 200; ++i) {
    auto place = co_await admission->enter(loop);
    EXPECT_TRUE(place);
    const int now = ++inside;
    int seen = most.load();
    while (now > seen && !most.compare_exchange_weak(seen, now)) {
    }
    net::Event turn(loop);
    loop.post([&turn] { turn.set(); });
    co_await turn.wait();
    --inside;
  }
  if (--left == 0) loop.stop();
}
TEST(Admission, HoldsItsCapAcrossLoops) {
  auto admission = std::make_shared<Admission>(AdmissionLimits{.concurrency = 3});
  std::atomic<int> inside{0}, most{0};
  const auto work = [&](unsigned index) {
    net::Loop loop(index);
    std::atomic<int> left{4};
    std::vector<net::Running> tasks;
    for (int i = 0; i < 4; ++i) tasks.emplace_back(busy(loop, admission, inside, most, left));
    loop.run();
  };
  std::thread first(work, 0), second(work, 1);
  first.join();
  second.join();
  EXPECT_LE(most.load(), 3);
  EXPECT_EQ(admission->running(), 0u);
  EXPECT_EQ(admission->waiting(), 0u);
}

}  // namespace
}  // namespace fivefold::process
