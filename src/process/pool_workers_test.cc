// What pools of workers need: the one used last, ends that are announced, deaths that a request is to blame for.
#include <map>

#include "process/pool_test_rig.h"

namespace fivefold::process {
namespace {

using namespace test;

TEST(PoolOfWorkers, AnInstanceThatEndsByItselfIsNoCrash) {
  PoolRig rig;
  auto settings = short_settings();
  settings.short_life = 10s;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1}));
  auto lease = rig.try_lease();
  ASSERT_TRUE(lease);
  lease->leaves();
  if (const auto other = rig.try_lease()) {
    EXPECT_EQ(other->instance(), 2u) << "it gets no more requests";
  }
  lease.reset();
  EXPECT_TRUE(rig.ready({2})) << "and another one takes its place at once";
  rig.crash(1, {.code = 0});
  EXPECT_TRUE(eventually([&] { return rig.pool->picture().instances.size() == 1; }));
  EXPECT_FALSE(rig.world.told("TERM 1"));
  EXPECT_EQ(rig.pool->picture().crashes, 0u);
  EXPECT_EQ(rig.pool->picture().failed_starts, 0u);
}

TEST(PoolOfWorkers, AnInstanceBeyondHelpIsKilledAtOnce) {
  PoolRig rig;
  auto settings = short_settings();
  settings.short_life = 10s;
  settings.concurrency = 1;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1}));
  auto lease = rig.try_lease();
  lease->kill("the request GET /x passed its time");
  EXPECT_TRUE(eventually([&] { return rig.world.told("KILL 1"); })) << "though a request is on it";
  EXPECT_TRUE(rig.ready({2}));
  EXPECT_TRUE(rig.logged("killed: the request GET /x passed its time"));
  EXPECT_EQ(rig.pool->picture().crashes, 0u);
}

TEST(PoolOfWorkers, AnInstanceThatIsSeenToDieIsReplacedBeforeItsEndIsKnown) {
  PoolRig rig;
  rig.configure(short_settings());
  ASSERT_TRUE(rig.ready({1}));
  auto lease = rig.try_lease();
  lease->died("its channel has ended");
  lease.reset();
  ASSERT_TRUE(rig.ready({2}));
  EXPECT_EQ(rig.pool->picture().crashes, 0u);
  rig.crash(1, {.signal = SIGSEGV});
  EXPECT_TRUE(eventually([&] { return rig.pool->picture().crashes == 1; }));
  EXPECT_TRUE(rig.logged("instance 1 (pid 1001) ended by itself"));
}

TEST(PoolOfWorkers, WhereRequestsCrashInstancesAYoungDeathIsMendedAtOnce) {
  PoolRig rig;
  auto settings = short_settings();
  settings.short_life = 10s;
  settings.first_backoff = settings.longest_backoff = 10s;
  settings.start_retries = 2;
  settings.requests_crash = true;
  rig.configure(settings);
  for (std::uint32_t id = 1; id <= 5; ++id) {
    ASSERT_TRUE(rig.ready({id}));
    auto lease = rig.try_lease();
    ASSERT_TRUE(lease);
    lease->keep_words();
    if (id % 2 == 0) lease.reset();  // its request may have ended a moment before
    rig.crash(id);
  }
  ASSERT_TRUE(rig.ready({6}));
  EXPECT_EQ(rig.pool->picture().crashes, 5u);
  rig.crash(6);  // without any request: the start is to blame
  EXPECT_TRUE(rig.logged("tried again in"));
}

TEST(PoolOfWorkers, AnEndThatSaysThatItsStartHasFailedIsNoRequestsFault) {
  PoolRig rig;
  auto settings = short_settings();
  settings.short_life = 10s;
  settings.first_backoff = settings.longest_backoff = 10s;
  settings.start_retries = 2;
  settings.requests_crash = true;
  settings.start_failure_status = 70;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1}));
  auto lease = rig.try_lease();
  ASSERT_TRUE(lease);
  lease->keep_words();
  rig.crash(1, {.code = 70});
  EXPECT_TRUE(rig.logged("tried again in "));
  EXPECT_TRUE(eventually([&] { return rig.pool->last_failure() != nullptr; }));
}

TEST(PoolOfWorkers, TheFailedStartIsToldUntilARequestHasGoneWell) {
  PoolRig rig;
  auto settings = short_settings();
  settings.first_backoff = settings.longest_backoff = 1ms;
  settings.start_retries = 100;
  settings.requests_crash = true;
  settings.start_failure_status = 70;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1}));
  rig.crash(1, {.code = 70});
  ASSERT_TRUE(rig.ready({2}));
  EXPECT_TRUE(rig.pool->last_failure()) << "that a worker was forked says nothing";
  rig.try_lease()->failed();
  EXPECT_TRUE(rig.pool->last_failure());
  ASSERT_TRUE(rig.try_lease());
  EXPECT_FALSE(rig.pool->last_failure());
}

TEST(PoolOfWorkers, OneThatIsToBeReplacedIsChosenLast) {
  PoolRig rig;
  auto settings = short_settings();
  settings.min_instances = settings.max_instances = 2;
  settings.concurrency = 1;
  settings.most_recent = true;
  settings.max_requests = 3;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1, 2}));
  rig.world.hold = true;  // no successor becomes ready
  std::map<std::uint32_t, int> served;
  for (int i = 0; i < 6; ++i) ++served[rig.try_lease()->instance()];
  EXPECT_EQ(served, (std::map<std::uint32_t, int>{{1, 3}, {2, 3}}));
  EXPECT_TRUE(rig.try_lease()) << "rather one that has served enough than none";
}

TEST(PoolOfWorkers, ALeaseCanKeepWhatItIsShownAs) {
  PoolRig rig;
  rig.configure(short_settings());
  ASSERT_TRUE(rig.ready({1}));
  std::string id = "0123", what = "GET /x";
  auto lease = rig.try_lease({.request_id = id, .what = what});
  lease->keep_words();
  id = "zzzz";
  what = "zzzzzz";
  const auto picture = rig.pool->picture();
  EXPECT_EQ(picture.instances[0].active[0].id, "0123");
  EXPECT_EQ(picture.instances[0].active[0].what, "GET /x");
}

TEST(PoolOfWorkers, AnInstanceThatDoesNotEndAsItSaidIsKilled) {
  PoolRig rig;
  auto settings = short_settings();
  settings.stop_grace = 10ms;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1}));
  rig.try_lease()->leaves();
  EXPECT_TRUE(eventually([&] { return rig.world.told("KILL 1"); }));
}

TEST(PoolOfWorkers, GivesTheOneUsedLastWhereThatIsWanted) {
  PoolRig rig;
  auto settings = short_settings();
  settings.min_instances = settings.max_instances = 3;
  settings.concurrency = 1;
  settings.most_recent = true;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1, 2, 3}));
  auto first = rig.try_lease(), second = rig.try_lease();
  ASSERT_TRUE(first && second);
  const auto last_used = second->instance();
  first.reset();
  std::this_thread::sleep_for(1ms);  // so that their ends differ
  second.reset();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(rig.try_lease()->instance(), last_used);
}

}  // namespace
}  // namespace fivefold::process
