// Instances that fail, hang or do not answer their health check.
#include "process/pool.h"
#include "process/pool_test_rig.h"

namespace fivefold::process::test {
namespace {

void fail_times(PoolRig& rig, int times, std::uint32_t id = 1) {
  for (int i = 0; i < times; ++i) {
    auto lease = rig.try_lease({.sticky = id});
    ASSERT_TRUE(lease);
    lease->failed();
    lease->failed();  // of one request: counts once
  }
}

TEST(PoolEjection, FailuresInARowReplaceAnInstanceOfOurs) {
  PoolRig rig;
  rig.configure(short_settings());
  ASSERT_TRUE(rig.ready({1}));
  fail_times(rig, 2);
  rig.try_lease().reset();  // one that went well: the row is over
  fail_times(rig, 2);
  EXPECT_TRUE(rig.ready({1}));
  rig.world.hold = true;
  fail_times(rig, 1);
  ASSERT_TRUE(rig.state(1, InstanceState::ejected));
  ASSERT_TRUE(rig.state(2, InstanceState::starting));
  EXPECT_EQ(rig.try_lease(), nullptr) << "a better one is coming";
  auto asked = rig.ask();
  rig.world.hold = false;
  ASSERT_TRUE(eventually([&] { return asked->done.load(); }));
  EXPECT_EQ((*asked->result)->instance(), 2u);
  EXPECT_TRUE(
      rig.logged("api: instance 1 (pid 1001) gets no more requests: 3 requests in a row failed; it is replaced"));
  EXPECT_TRUE(eventually([&] { return !rig.world.lives(1); }));
}

TEST(PoolEjection, ASickOneIsBetterThanNoneAtAll) {
  PoolRig rig;
  auto settings = short_settings();
  settings.start_retries = 1;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1}));
  rig.world.fail = true;
  fail_times(rig, 3);
  ASSERT_TRUE(rig.logged("given up after 1"));
  ASSERT_TRUE(eventually([&] { return rig.try_lease() != nullptr; }));
  EXPECT_TRUE(rig.try_lease({.not_this = 1})) << "even for a request that has failed there";
}

TEST(PoolEjection, AnAddressRestsAndIsTriedAgain) {
  PoolRig rig;
  rig.world.address = true;
  auto settings = short_settings();
  settings.min_instances = settings.max_instances = 2;
  settings.first_backoff = 200ms;
  settings.longest_backoff = 10s;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1, 2}));
  fail_times(rig, 3);
  ASSERT_TRUE(rig.state(1, InstanceState::ejected));
  EXPECT_EQ(rig.try_lease({.sticky = 1})->instance(), 2u);
  EXPECT_EQ(rig.pool->picture().instances.at(0).pid, 0);
  ASSERT_TRUE(rig.ready({1, 2}));
  EXPECT_TRUE(rig.logged("api: instance 1 gets no more requests: 3 requests in a row failed; tried again in "));
  EXPECT_TRUE(rig.logged("api: instance 1 is tried again"));
  fail_times(rig, 1);  // on trial, one is enough
  ASSERT_TRUE(rig.state(1, InstanceState::ejected));
  EXPECT_EQ(rig.world.launches, 2) << "nothing is started for it";
  ASSERT_TRUE(rig.ready({1, 2}));
  rig.try_lease({.sticky = 1}).reset();
  fail_times(rig, 2);
  EXPECT_TRUE(rig.ready({1, 2})) << "one that went well ends the trial";
}

TEST(PoolEjection, WhenAllAddressesRestTheyAreTriedAllTheSame) {
  PoolRig rig;
  rig.world.address = true;
  auto settings = short_settings();
  settings.first_backoff = settings.longest_backoff = 1h;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1}));
  fail_times(rig, 3);
  ASSERT_TRUE(rig.state(1, InstanceState::ejected));
  EXPECT_TRUE(rig.try_lease());
}

TEST(PoolEjection, WhenAllAddressesRestTheOneThatFailedLongestAgoIsTried) {
  PoolRig rig;
  rig.world.address = true;
  auto settings = short_settings();
  settings.min_instances = settings.max_instances = 3;
  settings.eject_failures = 1;
  settings.first_backoff = settings.longest_backoff = 1h;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1, 2, 3}));
  for (const std::uint32_t id : {2u, 3u, 1u}) {
    auto lease = rig.try_lease({.sticky = id});
    ASSERT_EQ(lease->instance(), id);
    lease->unreachable("refused");
  }
  std::vector<std::uint32_t> tried;
  for (int i = 0; i < 4; ++i) {
    auto lease = rig.try_lease();
    ASSERT_TRUE(lease);
    tried.push_back(lease->instance());
    lease->unreachable("refused");
  }
  EXPECT_EQ(tried, (std::vector<std::uint32_t>{2, 3, 1, 2}));
  auto lease = rig.try_lease({.not_this = 3});
  EXPECT_EQ(lease->instance(), 1u);
}

TEST(PoolEjection, ZeroIsNever) {
  PoolRig rig;
  auto settings = short_settings();
  settings.eject_failures = 0;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1}));
  fail_times(rig, 100);
  EXPECT_TRUE(rig.ready({1}));
}

TEST(PoolHealth, AnInstanceThatDoesNotAnswerItsCheckIsReplaced) {
  PoolRig rig;
  auto settings = short_settings();
  settings.health_interval = 10ms;
  settings.health_failures = 2;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1}));
  rig.world.sick = true;
  ASSERT_TRUE(eventually([&] { return rig.world.launches >= 2; }));
  rig.world.sick = false;
  EXPECT_TRUE(eventually([&] { return !rig.world.lives(1); }));
  EXPECT_TRUE(rig.logged("its health check failed 2 times: the health page answered 500; it is replaced"));
  EXPECT_TRUE(rig.logged("api: instance 1 (pid 1001) is at:\nin futex_wait"));
}

TEST(PoolHealth, AnAddressComesBackWhenItIsWell) {
  PoolRig rig;
  rig.world.address = true;
  auto settings = short_settings();
  settings.health_interval = 10ms;
  settings.health_failures = 1;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1}));
  rig.world.sick = true;
  ASSERT_TRUE(rig.state(1, InstanceState::ejected));
  rig.world.sick = false;
  ASSERT_TRUE(rig.ready({1}));
  EXPECT_TRUE(rig.logged("api: instance 1 is well again"));
  EXPECT_TRUE(rig.try_lease());
}

TEST(PoolHealth, ChecksThatAreTurnedOffEnd) {
  PoolRig rig;
  auto settings = short_settings();
  settings.health_interval = 10ms;
  settings.health_failures = 1;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1}));
  settings.health_interval = 0ms;
  rig.configure(settings);
  rig.world.sick = true;
  std::this_thread::sleep_for(150ms);  // several checks' time, in which nothing may happen
  EXPECT_TRUE(rig.ready({1}));
}

TEST(PoolReplace, AStuckInstanceGetsNoMoreRequestsAndOthersOnItFinish) {
  PoolRig rig;
  rig.configure(short_settings());
  ASSERT_TRUE(rig.ready({1}));
  auto stuck = rig.try_lease(), other = rig.try_lease();
  stuck->replace("the request GET /x\n passed its timeout of 30 s");
  stuck.reset();
  ASSERT_TRUE(rig.ready({2}));
  EXPECT_EQ(rig.try_lease()->instance(), 2u);
  EXPECT_TRUE(rig.state(1, InstanceState::draining));
  EXPECT_TRUE(rig.logged("the request GET /x\\x0a passed its timeout of 30 s; it is replaced")) << rig.lines->text();
  other.reset();
  EXPECT_TRUE(eventually([&] { return !rig.world.lives(1); }));
}

}  // namespace
}  // namespace fivefold::process::test
