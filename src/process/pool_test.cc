// Leases, the queue, starting, scaling and failing.
#include "process/pool.h"

#include <gmock/gmock.h>

#include "process/pool_test_rig.h"
#include "process/pool_words.h"

namespace fivefold::process::test {
namespace {

using testing::HasSubstr;

TEST(PoolWords, SayNumbersAndTimes) {
  EXPECT_EQ(grouped(7), "7");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(1234567), "1,234,567");
  EXPECT_EQ(in_words(212ms), "212 ms");
  EXPECT_EQ(in_words(4s), "4 s");
  EXPECT_EQ(in_words(4560ms), "4.5 s");
  EXPECT_EQ(in_words(200s), "3 min 20 s");
  EXPECT_EQ(in_words(5h), "5 h");
  EXPECT_EQ(in_words(50h), "2 d 2 h");
  EXPECT_EQ(memory_in_words(300 << 20), "300 MiB");
  EXPECT_EQ(requests_in_words(1), "1 request");
}

TEST(Pool, StartsItsMinimumAndSaysSo) {
  PoolRig rig;
  rig.configure([] {
    auto settings = short_settings();
    settings.min_instances = 2;
    settings.max_instances = 4;
    return settings;
  }());
  ASSERT_TRUE(rig.ready({1, 2}));
  EXPECT_EQ(rig.world.launches, 2);
  EXPECT_TRUE(rig.logged("api: instance 1 starting: there are to be 2\n"));
  EXPECT_TRUE(rig.logged("api: instance 2 (pid 1002) ready after "));
  const auto picture = rig.pool->picture();
  ASSERT_EQ(picture.instances.size(), 2u);
  EXPECT_EQ(picture.instances[0].pid, 1001);
  EXPECT_EQ(picture.starts, 2u);
}

TEST(Pool, KnowsTheRequestThatIsAloneOnAnInstance) {
  PoolRig rig;
  rig.configure(short_settings());
  ASSERT_TRUE(rig.ready({1}));
  const auto the_request = [&rig] {
    std::string id;
    rig.on_home([&] { id = rig.world.processes.at(1)->the_request(); });
    return id;
  };
  EXPECT_EQ(the_request(), "");
  auto first = rig.try_lease({.request_id = "first"});
  EXPECT_EQ(the_request(), "first");
  auto second = rig.try_lease({.request_id = "second"});
  EXPECT_EQ(the_request(), "");
  first.reset();
  EXPECT_TRUE(eventually([&] { return the_request() == "second"; }));  // once no line of the first is on its way
  second.reset();
  EXPECT_TRUE(eventually([&] { return the_request().empty(); }));
}

TEST(Pool, GivesTheLeastBusyAndTheLowestOfEquals) {
  PoolRig rig;
  auto settings = short_settings();
  settings.min_instances = settings.max_instances = 3;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1, 2, 3}));
  auto a = rig.try_lease(), b = rig.try_lease(), c = rig.try_lease(), d = rig.try_lease();
  ASSERT_TRUE(a && b && c && d);
  EXPECT_EQ(a->instance(), 1u);
  EXPECT_EQ(b->instance(), 2u);
  EXPECT_EQ(c->instance(), 3u);
  EXPECT_EQ(d->instance(), 1u);
  EXPECT_EQ(static_cast<FakeAddress&>(b->address()).id, 2u);
  EXPECT_EQ(b->pid(), 1002);
  b.reset();
  EXPECT_EQ(rig.try_lease()->instance(), 2u);
  EXPECT_EQ(rig.try_lease({.sticky = 1})->instance(), 1u) << "whom a client knows comes first";
  EXPECT_EQ(rig.try_lease({.sticky = 99})->instance(), 2u) << "if it is still there";
  EXPECT_EQ(rig.try_lease({.not_this = 2})->instance(), 3u) << "and not whom it just met in vain";
  EXPECT_EQ(rig.try_lease({.sticky = 2, .not_this = 2})->instance(), 3u);
  const auto picture = rig.pool->picture();
  EXPECT_EQ(picture.instances[0].active.size(), 2u);
  EXPECT_EQ(picture.requests, 6u);
}

TEST(Pool, WhoFailedIsAskedAgainWhenThereIsNoOther) {
  PoolRig rig;
  rig.configure(short_settings());
  ASSERT_TRUE(rig.ready({1}));
  EXPECT_EQ(rig.try_lease({.not_this = 1})->instance(), 1u);
}

TEST(Pool, ShowsWhatIsBeingAnswered) {
  PoolRig rig;
  rig.configure(short_settings());
  ASSERT_TRUE(rig.ready({1}));
  auto lease = rig.try_lease({.request_id = "r-1", .what = "GET /slow"});
  auto picture = rig.pool->picture();
  ASSERT_EQ(picture.instances.at(0).active.size(), 1u);
  EXPECT_EQ(picture.instances[0].active[0].id, "r-1");
  EXPECT_EQ(picture.instances[0].active[0].what, "GET /slow");
  lease.reset();
  picture = rig.pool->picture();
  EXPECT_TRUE(picture.instances[0].active.empty());
  EXPECT_EQ(picture.instances[0].requests, 1u);
}

TEST(Pool, RequestsWaitWhileItStarts) {
  PoolRig rig;
  rig.world.hold = true;
  rig.configure(short_settings());
  EXPECT_EQ(rig.try_lease(), nullptr);
  auto asked = rig.ask();
  ASSERT_TRUE(rig.waiting(1));
  rig.world.hold = false;
  ASSERT_TRUE(eventually([&] { return asked->done.load(); }));
  ASSERT_TRUE(asked->result);
  EXPECT_EQ((*asked->result)->instance(), 1u);
}

TEST(Pool, PlacesGoToWhoHasWaitedLongestOnWhateverLoop) {
  PoolRig rig;
  LoopThread other(1);
  auto settings = short_settings();
  settings.concurrency = 1;
  settings.queue = 3;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1}));
  auto first = rig.try_lease();
  ASSERT_TRUE(first);
  auto a = rig.ask(other);
  ASSERT_TRUE(rig.waiting(1));
  auto b = rig.ask();
  ASSERT_TRUE(rig.waiting(2));
  auto c = rig.ask(other);
  ASSERT_TRUE(rig.waiting(3));
  auto refused = rig.ask();
  ASSERT_TRUE(refused->done);
  ASSERT_FALSE(refused->result);
  EXPECT_EQ(refused->result.error().code, Code::program_unavailable);
  EXPECT_EQ(refused->result.error().detail, "5");
  EXPECT_THAT(refused->result.error().message, HasSubstr("3 requests wait"));
  EXPECT_EQ(rig.try_lease(), nullptr) << "nobody overtakes the queue";

  first.reset();
  ASSERT_TRUE(eventually([&] { return a->done.load(); }));
  EXPECT_FALSE(b->done);
  other.run([&] { a->result->reset(); });
  ASSERT_TRUE(eventually([&] { return b->done.load(); }));
  EXPECT_FALSE(c->done);
  rig.on_home([&] { b->result->reset(); });
  ASSERT_TRUE(eventually([&] { return c->done.load(); }));
  EXPECT_EQ(rig.pool->picture().queue_full, 1u);
  c->result->reset();
  EXPECT_TRUE(rig.try_lease());
}

TEST(Pool, WhoLeavesTheQueueTakesNoPlaceAlong) {
  PoolRig rig;
  LoopThread other(1);
  auto settings = short_settings();
  settings.concurrency = 1;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1}));
  auto first = rig.try_lease();
  auto gone = rig.ask(other);
  ASSERT_TRUE(rig.waiting(1));
  auto stays = rig.ask();
  ASSERT_TRUE(rig.waiting(2));
  other.run([&] { other.tasks.clear(); });
  EXPECT_TRUE(rig.waiting(1));
  first.reset();
  ASSERT_TRUE(eventually([&] { return stays->done.load(); }));
  // And one that leaves between being given the place and taking it.
  auto late = rig.ask(other);
  ASSERT_TRUE(rig.waiting(1));
  other.run([&] {
    stays->result->reset();  // the place is `late`'s now; its loop is busy with this
    other.tasks.clear();
  });
  EXPECT_FALSE(late->done);
  EXPECT_TRUE(rig.try_lease());
}

TEST(Pool, WaitingTooLongIsRefused) {
  PoolRig rig;
  rig.world.hold = true;
  auto settings = short_settings();
  settings.queue_timeout = 60ms;
  rig.configure(settings);
  const auto start = net::Clock::now();
  auto asked = rig.ask();
  ASSERT_TRUE(eventually([&] { return asked->done.load(); }));
  EXPECT_GE(net::Clock::now() - start, 60ms);
  ASSERT_FALSE(asked->result);
  EXPECT_EQ(asked->result.error().code, Code::program_unavailable);
  EXPECT_THAT(asked->result.error().message, HasSubstr("within 60 ms"));
  EXPECT_EQ(rig.pool->picture().waiting, 0u);
  EXPECT_EQ(rig.pool->picture().queue_timeouts, 1u);
}

TEST(Pool, GrowsWithWhoWaitsAndShrinksWhenIdle) {
  PoolRig rig;
  auto settings = short_settings();
  settings.min_instances = 0;
  settings.max_instances = 3;
  settings.concurrency = 1;
  settings.idle_timeout = 60ms;
  rig.configure(settings);
  EXPECT_EQ(rig.world.launches, 0);
  std::vector<std::shared_ptr<Asked>> asked;
  for (int i = 0; i < 5; ++i) asked.push_back(rig.ask());
  ASSERT_TRUE(rig.ready({1, 2, 3}));
  EXPECT_TRUE(rig.waiting(2)) << "never above the maximum";
  for (auto& each : asked) {
    ASSERT_TRUE(eventually([&] { return each->done.load(); }));
    each->result->reset();
  }
  ASSERT_TRUE(rig.ready({})) << "all idle out, down to none";
  EXPECT_TRUE(eventually([&] { return rig.world.living() == 0; }));
  EXPECT_TRUE(rig.logged("draining: no request for 60 ms"));
  EXPECT_EQ(rig.world.launches, 3);
  auto again = rig.ask();
  ASSERT_TRUE(eventually([&] { return again->done.load(); }));
  EXPECT_TRUE(again->result) << "and the next request wakes it";
}

TEST(Pool, NeverShrinksBelowItsMinimum) {
  PoolRig rig;
  auto settings = short_settings();
  settings.min_instances = 1;
  settings.max_instances = 2;
  settings.concurrency = 1;
  settings.idle_timeout = 50ms;
  rig.configure(settings);
  auto a = rig.ask(), b = rig.ask();
  ASSERT_TRUE(rig.ready({1, 2}));
  ASSERT_TRUE(eventually([&] { return a->done && b->done; }));
  a->result->reset();
  b->result->reset();
  ASSERT_TRUE(eventually([&] { return rig.world.living() == 1; }));
  EXPECT_EQ(rig.pool->picture().instances.size(), 1u);
}

TEST(Pool, WithoutACapMuchWorkAtOnceStartsOneMore) {
  PoolRig rig;
  auto settings = short_settings();
  settings.min_instances = 1;
  settings.max_instances = 2;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1}));
  std::vector<std::unique_ptr<Lease>> leases;
  for (std::uint32_t i = 0; i < Pool::kElasticConcurrency; ++i) leases.push_back(rig.try_lease());
  EXPECT_EQ(rig.world.launches, 1);
  leases.push_back(rig.try_lease());
  ASSERT_TRUE(leases.back()) << "it does not wait for that";
  EXPECT_TRUE(rig.ready({1, 2}));
  EXPECT_EQ(rig.try_lease()->instance(), 2u);
}

TEST(Pool, GivesUpAfterFailedStartsAndTellsWhy) {
  PoolRig rig;
  rig.world.fail = true;
  auto settings = short_settings();
  settings.start_retries = 3;
  settings.second_chance = 100ms;
  rig.configure(settings);
  auto asked = rig.ask();
  ASSERT_TRUE(eventually([&] { return asked->done.load(); }));
  ASSERT_FALSE(asked->result);
  EXPECT_EQ(asked->result.error().code, Code::program_failed);
  EXPECT_EQ(asked->result.error().message, "api cannot be started: exited with status 1");
  EXPECT_EQ(rig.world.launches, 3);
  EXPECT_TRUE(rig.logged("api: instance 1 failed to start after "));
  EXPECT_TRUE(rig.logged("exited with status 1; tried again in "));
  EXPECT_TRUE(rig.logged("given up after 3 failed starts"));
  EXPECT_TRUE(rig.logged("    | no database")) << "the log tells the journey";
  ASSERT_TRUE(rig.pool->last_failure());
  EXPECT_EQ(rig.pool->last_failure()->failure(), "exited with status 1");
  const auto picture = rig.pool->picture();
  EXPECT_EQ(picture.failed_starts, 3u);
  EXPECT_EQ(picture.last_failure, "exited with status 1");
  ASSERT_EQ(picture.instances.size(), 3u);
  EXPECT_EQ(picture.instances[2].state, InstanceState::failed);
  EXPECT_THAT(picture.instances[2].journey, HasSubstr("no database"));

  auto at_once = rig.ask();
  EXPECT_TRUE(at_once->done && !at_once->result) << "nobody waits for a program that was given up";
  EXPECT_EQ(rig.world.launches, 3);

  // After a while one request starts it once more; that fails as well.
  rig.world.hold = true;
  ASSERT_TRUE(eventually([&] { return !rig.ask()->done; }));
  rig.world.hold = false;
  ASSERT_TRUE(rig.waiting(0));
  EXPECT_EQ(rig.world.launches, 4);
  // And then it works.
  rig.world.fail = false;
  std::shared_ptr<Asked> lucky;
  ASSERT_TRUE(eventually([&] {
    lucky = rig.ask();
    return !lucky->done || lucky->result;
  }));
  ASSERT_TRUE(eventually([&] { return lucky->done.load(); }));
  EXPECT_TRUE(lucky->result);
  EXPECT_EQ(rig.pool->last_failure(), nullptr);
}

TEST(Pool, KeepsOnlyTheLatestFailures) {
  PoolRig rig;
  rig.world.fail = true;
  auto settings = short_settings();
  settings.start_retries = 12;
  settings.longest_backoff = 1ms;
  rig.configure(settings);
  ASSERT_TRUE(rig.logged("given up after 12"));
  // The log is a moment ahead of the picture.
  EXPECT_TRUE(eventually([&] {
    const auto picture = rig.pool->picture();
    return picture.instances.size() == Pool::kFailuresShown && picture.instances.back().id == 12u;
  }));
}

TEST(Pool, StartsThatFailTogetherCountOnce) {
  PoolRig rig;
  rig.world.fail = true;
  auto settings = short_settings();
  settings.min_instances = settings.max_instances = 4;
  settings.start_retries = 3;
  rig.configure(settings);
  ASSERT_TRUE(rig.logged("given up after 3 failed starts"));
  EXPECT_EQ(rig.world.launches, 4 + 1 + 1) << "four at once, then one at a time";
}

TEST(Pool, ACrashAfterALongLifeIsMendedAtOnce) {
  PoolRig rig;
  auto settings = short_settings();
  settings.first_backoff = settings.longest_backoff = 1h;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1}));
  auto lease = rig.try_lease();
  rig.crash(1, {.signal = SIGSEGV});
  ASSERT_TRUE(rig.ready({2}));
  EXPECT_EQ(rig.pool->picture().crashes, 1u);
  EXPECT_TRUE(rig.logged("api: instance 1 (pid 1001) ended by itself: was ended by signal 11 (segmentation fault)"));
  EXPECT_TRUE(rig.logged("with 1 request on it"));
  EXPECT_EQ(lease->instance(), 1u) << "its leases go on until they notice";
  EXPECT_EQ(static_cast<FakeAddress&>(lease->address()).id, 1u);
  lease.reset();
  EXPECT_EQ(rig.try_lease()->instance(), 2u);
}

TEST(Pool, CrashesSoonAfterTheStartGiveItUp) {
  PoolRig rig;
  auto settings = short_settings();
  settings.short_life = 1h;
  settings.start_retries = 2;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1}));
  rig.crash(1);
  ASSERT_TRUE(rig.ready({2}));
  rig.crash(2);
  ASSERT_TRUE(rig.logged("given up after 2 failed starts"));
  auto asked = rig.ask();
  ASSERT_TRUE(asked->done);
  ASSERT_FALSE(asked->result);
  EXPECT_THAT(asked->result.error().message, HasSubstr("exited with status 3"));
  ASSERT_TRUE(rig.pool->last_failure());
  EXPECT_EQ(rig.pool->picture().crashes, 2u);
  EXPECT_EQ(rig.world.launches, 2);
}

TEST(Pool, ReloadingGivesAProgramThatWasGivenUpAnotherChance) {
  PoolRig rig;
  rig.world.fail = true;
  auto settings = short_settings();
  settings.start_retries = 1;
  rig.configure(settings);
  ASSERT_TRUE(rig.logged("given up after 1 failed start;"));
  rig.world.fail = false;
  rig.configure(settings);
  EXPECT_TRUE(rig.ready({2}));
}

TEST(Pool, EndsWithNothingRunningAndLeasesOutliveIt) {
  PoolRig rig;
  LoopThread other(1);
  auto settings = short_settings();
  settings.concurrency = 1;
  settings.max_instances = 2;
  rig.configure(settings);
  ASSERT_TRUE(rig.ready({1}));
  auto lease = rig.try_lease();
  rig.world.hold = true;
  // Waits on the other loop, in the queue of a pool that ends. Without a hold on the pool, as a waiter's owner has one.
  auto asked = std::make_shared<Asked>();
  Pool& pool = *rig.pool;
  other.run([&] {
    other.tasks.start(ask_for(std::shared_ptr<Pool>(std::shared_ptr<void>(), &pool), other.loop, {}, asked));
  });
  ASSERT_TRUE(eventually([&] { return rig.world.launching == 1; }));
  rig.end();
  ASSERT_TRUE(eventually([&] { return asked->done.load(); }));
  ASSERT_FALSE(asked->result);
  EXPECT_EQ(asked->result.error().code, Code::program_unavailable);
  EXPECT_EQ(lease->instance(), 1u);
  EXPECT_EQ(static_cast<FakeAddress&>(lease->address()).id, 1u);
  lease->failed();
  lease->replace("too late");
}

TEST(Pool, LetGoOfOnAnotherThreadItEndsOnItsOwn) {
  PoolRig rig;
  rig.configure(short_settings());
  ASSERT_TRUE(rig.ready({1}));
  rig.pool.reset();
  EXPECT_TRUE(eventually([&] { return rig.world.living() == 0; }));
}

}  // namespace
}  // namespace fivefold::process::test
