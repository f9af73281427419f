// Replacing instances: restarts, new configurations, recycling; servers that come and go.
#include <gmock/gmock.h>

#include "process/instance_memory.h"
#include "process/pool.h"
#include "process/pool_test_rig.h"

namespace fivefold::process::test {
namespace {

using testing::HasSubstr;

PoolSettings settings_with(std::uint32_t least, std::uint32_t most) {
  auto settings = short_settings();
  settings.min_instances = least;
  settings.max_instances = most;
  return settings;
}

TEST(PoolRestart, ReplacesOneAfterTheOther) {
  PoolRig rig;
  rig.configure(settings_with(3, 3));
  ASSERT_TRUE(rig.ready({1, 2, 3}));
  rig.world.most_alive = 0;
  auto result = rig.restart("asked for by the operator");
  EXPECT_TRUE(result.get());
  ASSERT_TRUE(rig.ready({4, 5, 6}));
  EXPECT_TRUE(eventually([&] { return rig.world.living() == 3; }));
  EXPECT_TRUE(rig.logged("api: instance 4 starting: replaces instance 1: asked for by the operator\n"));
  EXPECT_TRUE(rig.logged("api: instance 1 (pid 1001) draining: asked for by the operator; instance 4 takes over\n"));
  EXPECT_TRUE(rig.logged("api: 3 instances replaced: asked for by the operator\n"));
  EXPECT_TRUE(rig.logged("api: instance 1 (pid 1001) has ended after 0 requests: exited with status 0"));
}

TEST(PoolRestart, AlwaysHasAnInstanceAndLetsRequestsFinish) {
  PoolRig rig;
  rig.configure(settings_with(1, 1));
  ASSERT_TRUE(rig.ready({1}));
  auto lease = rig.try_lease();
  rig.world.hold = true;
  auto result = rig.restart("new code");
  ASSERT_TRUE(rig.state(2, InstanceState::starting));
  EXPECT_EQ(rig.try_lease()->instance(), 1u) << "the old one serves until the new one is ready";
  rig.world.hold = false;
  EXPECT_TRUE(result.get());
  EXPECT_EQ(rig.try_lease()->instance(), 2u);
  EXPECT_TRUE(rig.state(1, InstanceState::draining));
  EXPECT_TRUE(rig.world.lives(1));
  EXPECT_FALSE(rig.world.told("TERM 1"));
  lease.reset();
  EXPECT_TRUE(eventually([&] { return !rig.world.lives(1); }));
  EXPECT_TRUE(rig.world.told("TERM 1"));
}

TEST(PoolRestart, ThatFailsLeavesTheOldOnesServing) {
  PoolRig rig;
  rig.configure(settings_with(2, 2));
  ASSERT_TRUE(rig.ready({1, 2}));
  rig.world.fail = true;
  const auto result = rig.restart("new code").get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::program_failed);
  EXPECT_THAT(result.error().message, HasSubstr("instance 3 of api failed to start: exited with status 1"));
  EXPECT_THAT(result.error().detail, HasSubstr("no database")) << "the journey";
  EXPECT_TRUE(rig.ready({1, 2}));
  EXPECT_TRUE(rig.try_lease());
  EXPECT_TRUE(rig.logged("those of before stay as they are"));
  EXPECT_EQ(rig.world.launches, 3);
  // The next one works.
  rig.world.fail = false;
  EXPECT_TRUE(rig.restart("mended code").get());
  EXPECT_TRUE(rig.ready({4, 5}));
}

TEST(PoolRestart, DuringAnotherJoinsItAndBeginsAnew) {
  PoolRig rig;
  rig.configure(settings_with(1, 1));
  ASSERT_TRUE(rig.ready({1}));
  rig.world.hold = true;
  auto first = rig.restart("first");
  ASSERT_TRUE(rig.state(2, InstanceState::starting));
  auto second = rig.restart("second");
  auto third = rig.restart("third");
  rig.world.hold = false;
  EXPECT_TRUE(first.get());
  EXPECT_TRUE(second.get());
  EXPECT_TRUE(third.get());
  EXPECT_TRUE(rig.ready({3}));
  EXPECT_EQ(rig.world.launches, 3) << "two that came meanwhile are one";
}

TEST(PoolRestart, WhileItStartsBeginsAgain) {
  PoolRig rig;
  rig.world.hold = true;
  rig.configure(settings_with(1, 1));
  ASSERT_TRUE(rig.state(1, InstanceState::starting));
  auto result = rig.restart("new code");
  ASSERT_TRUE(rig.state(2, InstanceState::starting));
  EXPECT_EQ(rig.world.launching, 1);
  rig.world.hold = false;
  EXPECT_TRUE(result.get());
  EXPECT_TRUE(rig.ready({2}));
}

TEST(PoolRestart, OfAProgramThatWasGivenUpTellsWhetherItRuns) {
  PoolRig rig;
  rig.world.fail = true;
  auto settings = settings_with(1, 1);
  settings.start_retries = 1;
  rig.configure(settings);
  ASSERT_TRUE(rig.logged("given up after 1"));
  EXPECT_FALSE(rig.restart("again").get());
  rig.world.fail = false;
  EXPECT_TRUE(rig.restart("and again").get());
  EXPECT_TRUE(rig.ready({3}));
}

TEST(PoolRestart, OfASleepingProgramIsDoneAtOnce) {
  PoolRig rig;
  rig.configure(settings_with(0, 1));
  EXPECT_TRUE(rig.restart("new code").get());
  EXPECT_EQ(rig.world.launches, 0);
}

TEST(PoolConfigure, ANewFingerprintIsARollingReplacement) {
  PoolRig rig;
  rig.configure(settings_with(2, 2));
  ASSERT_TRUE(rig.ready({1, 2}));
  rig.configure(settings_with(2, 2), "b");
  EXPECT_TRUE(rig.ready({3, 4}));
  EXPECT_TRUE(rig.logged("2 instances replaced: its configuration has changed"));
  rig.configure(settings_with(3, 3), "b");
  EXPECT_TRUE(rig.ready({3, 4, 5})) << "the same fingerprint replaces nothing";
}

TEST(PoolConfigure, ThatDoesNotStartKeepsTheOldAndIsTriedAgainByTheNext) {
  PoolRig rig;
  rig.configure(settings_with(1, 1));
  ASSERT_TRUE(rig.ready({1}));
  rig.world.fail = true;
  rig.configure(settings_with(1, 1), "b");
  ASSERT_TRUE(rig.logged("the instances are not all replaced"));
  EXPECT_TRUE(rig.ready({1}));
  rig.world.fail = false;
  rig.configure(settings_with(1, 1), "b");
  EXPECT_TRUE(rig.ready({3}));
}

TEST(PoolConfigure, WhileTheLastOneIsStartingOvertakesIt) {
  PoolRig rig;
  rig.configure(settings_with(1, 1));
  ASSERT_TRUE(rig.ready({1}));
  rig.world.hold = true;
  rig.configure(settings_with(1, 1), "b");
  ASSERT_TRUE(rig.state(2, InstanceState::starting));
  rig.configure(settings_with(1, 1), "c");
  ASSERT_TRUE(rig.state(3, InstanceState::starting));
  EXPECT_EQ(rig.world.launching, 1) << "nobody needs b any more";
  EXPECT_TRUE(rig.try_lease());
  rig.world.hold = false;
  EXPECT_TRUE(rig.ready({3}));
}

TEST(PoolConfigure, ALowerMaximumDrainsTheSurplus) {
  PoolRig rig;
  rig.configure(settings_with(3, 3));
  ASSERT_TRUE(rig.ready({1, 2, 3}));
  auto a = rig.try_lease(), b = rig.try_lease(), c = rig.try_lease();
  rig.configure(settings_with(1, 1));
  ASSERT_TRUE(rig.ready({1}));
  EXPECT_TRUE(rig.state(2, InstanceState::draining));
  EXPECT_TRUE(rig.logged("draining: there are more than 1"));
  a.reset(), b.reset(), c.reset();
  EXPECT_TRUE(eventually([&] { return rig.world.living() == 1; }));
}

TEST(PoolRecycle, AfterItsRequests) {
  PoolRig rig;
  auto settings = settings_with(1, 1);
  settings.max_requests = 5;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1}));
  rig.world.hold = true;
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(rig.try_lease());
  ASSERT_TRUE(rig.state(2, InstanceState::starting));
  EXPECT_EQ(rig.try_lease()->instance(), 1u) << "it serves until the next one is ready";
  rig.world.hold = false;
  EXPECT_TRUE(rig.ready({2}));
  EXPECT_TRUE(rig.logged("instance 1 (pid 1001) draining: it has answered 5 requests; instance 2 takes over"));
}

TEST(PoolRecycle, EachHasItsOwnNumberOfRequests) {
  PoolRig rig;
  auto settings = settings_with(8, 8);
  settings.max_requests = 1000;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1, 2, 3, 4, 5, 6, 7, 8}));
  for (int i = 0; i < 8 * 899; ++i) ASSERT_TRUE(rig.try_lease({.sticky = static_cast<std::uint32_t>(1 + i % 8)}));
  EXPECT_EQ(rig.world.launches, 8) << "at least nine tenths";
  for (int i = 0; i < 8 * 101; ++i) ASSERT_TRUE(rig.try_lease({.sticky = static_cast<std::uint32_t>(1 + i % 8)}));
  EXPECT_TRUE(rig.ready({9, 10, 11, 12, 13, 14, 15, 16}));
}

TEST(PoolRecycle, AtItsAge) {
  PoolRig rig;
  auto settings = settings_with(1, 1);
  settings.max_age = 200ms;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1}));
  EXPECT_TRUE(rig.ready({2}));
  EXPECT_TRUE(rig.logged("draining: it is "));
}

TEST(PoolRecycle, WhenItHasGrown) {
  EXPECT_GT(resident_memory(::getpid()).value_or(0), 100'000u);
  EXPECT_FALSE(resident_memory(0));
  PoolRig rig;
  rig.world.pid = ::getpid();
  auto settings = settings_with(1, 1);
  settings.max_memory = 1ULL << 50;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1}));
  settings.max_memory = 4096;
  rig.configure(settings);
  EXPECT_TRUE(rig.ready({2}));
  EXPECT_TRUE(rig.logged("of memory; instance 2 takes over"));
}

TEST(PoolRecycle, WhoseReplacementFailsGoesOn) {
  PoolRig rig;
  auto settings = settings_with(1, 1);
  settings.max_requests = 1;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1}));
  rig.world.fail = true;
  rig.try_lease().reset();
  ASSERT_TRUE(eventually([&] { return rig.lines->count("failed to start") >= 2; }));
  EXPECT_TRUE(rig.try_lease());
  rig.world.fail = false;
  EXPECT_TRUE(eventually([&] { return !rig.world.lives(1); })) << "it is tried again";
}

TEST(PoolEnding, AtTheDrainDeadlineItIsToldToEndAndThenKilled) {
  PoolRig rig;
  rig.world.stubborn = true;
  auto settings = settings_with(1, 1);
  settings.drain = 60ms;
  settings.stop_grace = 60ms;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1}));
  auto lease = rig.try_lease();
  EXPECT_TRUE(rig.restart("new code").get());
  ASSERT_TRUE(eventually([&] { return !rig.world.lives(1); }));
  EXPECT_EQ(rig.world.story, (std::vector<std::string>{"TERM 1", "KILL 1"}));
  EXPECT_TRUE(rig.logged("is told to end: 1 request on it at its drain deadline"));
  EXPECT_TRUE(rig.logged("killed: it did not end within 60 ms of SIGTERM"));
  EXPECT_TRUE(rig.logged("has ended after 0 requests: was ended by signal 9"));
  lease.reset();
}

TEST(PoolAdoption, TakesOverWhatAnEarlierServerLeft) {
  PoolRig rig;
  rig.configure(settings_with(2, 2), "a", 1h);
  auto asked = rig.ask();
  rig.adopt(7);
  rig.adopt(3);
  ASSERT_TRUE(rig.ready({3, 7}));
  ASSERT_TRUE(eventually([&] { return asked->done.load(); }));
  EXPECT_TRUE(asked->result);
  EXPECT_EQ(rig.world.launches, 0);
  EXPECT_TRUE(rig.logged("api: instance 7 (pid 1007) taken over from an earlier server, 1 h after its start"));
  rig.crash(3);
  EXPECT_TRUE(eventually([&] { return !rig.world.lives(3); }));
  rig.adopt(3);
  EXPECT_TRUE(rig.ready({7, 8})) << "an id is never used twice";
}

TEST(PoolAdoption, StartsTheRestWhenItHasWaitedLongEnough) {
  PoolRig rig;
  rig.configure(settings_with(2, 2), "a", 150ms);
  rig.adopt(1);
  ASSERT_TRUE(rig.ready({1}));
  EXPECT_EQ(rig.world.launches, 0);
  EXPECT_TRUE(rig.ready({1, 2}));
}

TEST(PoolAdoption, ReplacesThoseOfAnotherConfiguration) {
  PoolRig rig;
  rig.configure(settings_with(1, 1), "b");
  ASSERT_TRUE(rig.ready({1}));
  rig.adopt(5, "a");
  EXPECT_TRUE(rig.ready({1})) << "the minimum runs already: it only drains";
  EXPECT_TRUE(eventually([&] { return rig.world.living() == 1; }));
}

TEST(PoolAdoption, OfAnotherConfigurationServesUntilANewOneIsReady) {
  PoolRig rig;
  rig.world.hold = true;
  rig.configure(settings_with(1, 1), "b", 1h);
  rig.adopt(5, "a");
  ASSERT_TRUE(rig.state(6, InstanceState::starting));
  EXPECT_EQ(rig.try_lease()->instance(), 5u);
  rig.world.hold = false;
  EXPECT_TRUE(rig.ready({6}));
}

TEST(PoolAdoption, OfOneThatHasEndedMeanwhileStartsAnother) {
  PoolRig rig;
  rig.configure(settings_with(1, 1), "a", 100ms);
  rig.on_home([&] {
    auto launched = make_instance(rig.world, rig.home.loop, 4);
    rig.world.processes.at(4)->child()->exit({.code = 1});
    rig.pool->adopt(4, std::move(launched), "a", 1h);
  });
  EXPECT_TRUE(rig.ready({5}));
  EXPECT_FALSE(rig.world.lives(4));
}

TEST(PoolAdoption, SurplusDrains) {
  PoolRig rig;
  rig.configure(settings_with(1, 1));
  ASSERT_TRUE(rig.ready({1}));
  rig.adopt(5);
  EXPECT_TRUE(eventually([&] { return rig.world.living() == 1; }));
}

TEST(PoolShutdown, WaitsForRequestsAndThenEndsEverything) {
  PoolRig rig;
  auto settings = settings_with(1, 1);
  settings.concurrency = 1;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1}));
  auto lease = rig.try_lease();
  auto waits = rig.ask();
  ASSERT_TRUE(rig.waiting(1));
  std::atomic<bool> done = false;
  rig.on_home([&] { rig.pool->shutdown(net::Clock::now() + 1h, [&] { done = true; }); });
  EXPECT_EQ(rig.try_lease(), nullptr);
  auto late = rig.ask();
  ASSERT_TRUE(late->done);
  EXPECT_FALSE(late->result);
  lease.reset();
  ASSERT_TRUE(eventually([&] { return waits->done.load(); }));
  ASSERT_TRUE(waits->result) << "who waited already is served";
  EXPECT_FALSE(done);
  waits->result->reset();
  ASSERT_TRUE(eventually([&] { return done.load(); }));
  EXPECT_EQ(rig.world.living(), 0u);
  EXPECT_TRUE(rig.logged("draining: the server is shutting down"));
}

TEST(PoolShutdown, AtItsDeadlineEndsWhatStillGoesOn) {
  PoolRig rig;
  auto settings = settings_with(1, 1);
  settings.concurrency = 1;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1}));
  auto lease = rig.try_lease();
  auto waits = rig.ask();
  ASSERT_TRUE(rig.waiting(1));
  std::atomic<bool> done = false;
  rig.on_home([&] { rig.pool->shutdown(net::Clock::now() + 60ms, [&] { done = true; }); });
  ASSERT_TRUE(eventually([&] { return done.load(); }));
  EXPECT_TRUE(waits->done && !waits->result);
  EXPECT_EQ(rig.world.living(), 0u);
  lease.reset();
}

TEST(PoolShutdown, WithNothingReadyRefusesWhoWaits) {
  PoolRig rig;
  rig.world.hold = true;
  rig.configure(settings_with(1, 1));
  auto asked = rig.ask();
  ASSERT_TRUE(rig.state(1, InstanceState::starting));
  auto restart = rig.restart("new code");
  std::atomic<bool> done = false;
  rig.on_home([&] { rig.pool->shutdown(net::Clock::now() + 1h, [&] { done = true; }); });
  ASSERT_TRUE(eventually([&] { return done.load(); }));
  ASSERT_TRUE(eventually([&] { return asked->done.load(); }));
  ASSERT_FALSE(asked->result);
  EXPECT_EQ(asked->result.error().code, Code::program_unavailable);
  EXPECT_EQ(restart.get().error().code, Code::cancelled);
  EXPECT_EQ(rig.world.launching, 0);
}

TEST(PoolDisown, LetsReadyOnesGoOnForTheNextServer) {
  PoolRig rig;
  rig.configure(settings_with(2, 3));
  ASSERT_TRUE(rig.ready({1, 2}));
  auto lease = rig.try_lease();
  rig.world.hold = true;
  rig.configure(settings_with(3, 3));
  ASSERT_TRUE(rig.state(3, InstanceState::starting));
  rig.on_home([&] { rig.pool->disown_all(); });
  EXPECT_TRUE(rig.world.told("disown 1"));
  EXPECT_TRUE(rig.world.told("disown 2"));
  EXPECT_FALSE(rig.world.told("TERM 1"));
  EXPECT_EQ(rig.world.launching, 0) << "one that only starts is no use to anybody";
  EXPECT_NE(rig.try_lease(), nullptr) << "a client of the old server may ask once more";
  EXPECT_EQ(static_cast<FakeAddress&>(lease->address()).id, 1u);
  lease.reset();
  EXPECT_TRUE(rig.logged("api: 2 instances for the next server"));
}

TEST(PoolDisown, WhatHasJustBeenTakenOverGoesOnToo) {
  PoolRig rig;
  rig.configure(settings_with(1, 1), "a", 1h);
  rig.on_home([&] {
    rig.pool->adopt(4, make_instance(rig.world, rig.home.loop, 4), "a", 1h);
    rig.pool->disown_all();
    rig.pool->adopt(5, make_instance(rig.world, rig.home.loop, 5), "a", 1h);
  });
  EXPECT_TRUE(rig.world.told("disown 4"));
  EXPECT_TRUE(rig.world.told("disown 5"));
}

TEST(PoolDisown, ThenShuttingDownIsDoneAtOnce) {
  PoolRig rig;
  rig.configure(settings_with(1, 1));
  ASSERT_TRUE(rig.ready({1}));
  std::atomic<bool> done = false;
  rig.on_home([&] {
    rig.pool->disown_all();
    rig.pool->shutdown(net::Clock::now() + 1h, [&] { done = true; });
  });
  EXPECT_TRUE(eventually([&] { return done.load(); }));
  EXPECT_FALSE(rig.world.told("TERM 1"));
}

}  // namespace
}  // namespace fivefold::process::test
