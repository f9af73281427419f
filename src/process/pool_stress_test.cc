// Many loops, many requests, starts that fail, crashes and restarts, all at once.
#include <gmock/gmock.h>

#include <random>

#include "process/pool.h"
#include "process/pool_test_rig.h"

namespace fivefold::process::test {
namespace {

constexpr int kLoops = 4;
constexpr int kThreads = 4;  // that lease without a loop
constexpr int kVisitors = 16;
constexpr auto kTime = 1500ms;

struct Tally {
  std::atomic<int> served = 0, refused = 0, in_flight = 0;
  std::atomic<bool> over = false;
};

net::Task<void> visit(std::shared_ptr<Pool> pool, net::Loop& loop, Tally& tally, unsigned seed) {
  std::minstd_rand random(seed);
  while (!tally.over) {
    auto lease = co_await pool->lease(loop, {.request_id = "r", .what = "GET /", .sticky = 1 + seed % 9});
    if (!lease) {
      ++tally.refused;
      co_await net::sleep_until(loop, loop.now() + 1ms);
      continue;
    }
    ++tally.served;
    EXPECT_EQ(static_cast<FakeAddress&>((*lease)->address()).id, (*lease)->instance());
    for (unsigned i = random() % 4; i > 0; --i) co_await net::others_first(loop);
    if (random() % 16 == 0) (*lease)->failed();
    if (random() % 512 == 0) (*lease)->replace("stuck");
  }
}

void lease_in_a_row(Pool& pool, Tally& tally, unsigned seed) {
  std::minstd_rand random(seed);
  std::vector<std::unique_ptr<Lease>> held;
  while (!tally.over) {
    if (auto lease = pool.try_lease({.not_this = static_cast<std::uint32_t>(random() % 9)})) {
      ++tally.served;
      held.push_back(std::move(lease));
    } else {
      std::this_thread::yield();
    }
    if (held.size() > random() % 3) held.erase(held.begin());
    if (random() % 256 == 0) EXPECT_LE(pool.picture().waiting, 1024u);
  }
}

void storm(PoolSettings settings, bool address) {
  PoolRig rig;
  rig.log.set_level(spdlog::level::off);
  rig.world.address = address;
  settings.idle_timeout = 50ms;
  settings.first_backoff = settings.longest_backoff = 1ms;
  settings.start_retries = 1'000'000;
  settings.drain = settings.stop_grace = 50ms;
  settings.queue_timeout = 200ms;
  settings.health_interval = 20ms;
  rig.configure(settings);
  Tally tally;
  {
    std::vector<std::unique_ptr<LoopThread>> loops;
    for (unsigned i = 0; i < kLoops; ++i) {
      auto& loop = *loops.emplace_back(std::make_unique<LoopThread>(i + 1));
      loop.run([&] {
        for (unsigned n = 0; n < kVisitors; ++n) loop.tasks.start(visit(rig.pool, loop.loop, tally, i * 100 + n + 1));
      });
    }
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kThreads; ++i)
      threads.emplace_back([&, i] { lease_in_a_row(*rig.pool, tally, 1000 + i); });

    std::minstd_rand random(99);
    std::vector<std::future<Result<void>>> restarts;
    const auto until = net::Clock::now() + kTime;
    for (int round = 0; net::Clock::now() < until; ++round) {
      rig.world.fail = random() % 4 == 0;
      rig.world.hold = random() % 8 == 0;
      rig.world.stubborn = random() % 2 == 0;
      rig.world.sick = random() % 8 == 0;
      rig.on_home([&] {
        if (!rig.world.processes.empty()) {
          auto victim = rig.world.processes.begin();
          std::advance(victim, static_cast<long>(random() % rig.world.processes.size()));
          if (auto* child = victim->second->child()) child->exit({.signal = SIGSEGV});
        }
        if (round % 8 == 3)
          rig.pool->configure(settings, std::make_shared<FakeLauncher>(rig.world, rig.home.loop),
                              std::to_string(round % 3), 0ms);
      });
      if (round % 4 == 1) restarts.push_back(rig.restart("stress"));
      // Whole loops leave, with all who wait on them, and come again.
      if (round % 8 == 5) {
        auto& loop = *loops[random() % kLoops];
        loop.run([&] {
          loop.tasks.clear();
          for (unsigned n = 0; n < kVisitors; ++n)
            loop.tasks.start(visit(rig.pool, loop.loop, tally, static_cast<unsigned>(round) * 100 + n + 1));
        });
      }
      std::this_thread::sleep_for(2ms);
    }
    rig.world.fail = rig.world.hold = rig.world.stubborn = rig.world.sick = false;
    for (auto& each : restarts) EXPECT_EQ(each.wait_for(kPatience), std::future_status::ready);
    tally.over = true;
    for (auto& each : threads) each.join();
    ASSERT_TRUE(eventually([&] {
      std::size_t left = 0;
      for (auto& each : loops) each->run([&] { left += each->tasks.size(); });
      return left == 0;
    }));
  }
  EXPECT_GT(tally.served, 1000);
  // It is a healthy pool again, and all is given back.
  ASSERT_TRUE(eventually([&] {
    const auto picture = rig.pool->picture();
    std::size_t ready = 0;
    for (const auto& each : picture.instances) {
      if (each.state == InstanceState::failed) continue;
      if (each.state != InstanceState::ready || !each.active.empty()) return false;
      ++ready;
    }
    return picture.waiting == 0 && ready == settings.min_instances;
  }));
  EXPECT_EQ(rig.world.living(), settings.min_instances);
  auto last = rig.ask();
  ASSERT_TRUE(eventually([&] { return last->done.load(); }));
  EXPECT_TRUE(last->result);
}

TEST(PoolStress, OneRequestAtATime) {
  auto settings = short_settings();
  settings.min_instances = 2;
  settings.max_instances = 6;
  settings.concurrency = 1;
  settings.max_requests = 500;
  storm(settings, false);
}

TEST(PoolStress, NoCap) {
  auto settings = short_settings();
  settings.min_instances = 1;
  settings.max_instances = 4;
  settings.max_age = 100ms;
  storm(settings, false);
}

TEST(PoolStress, Addresses) {
  auto settings = short_settings();
  settings.min_instances = settings.max_instances = 3;
  settings.concurrency = 2;
  storm(settings, true);
}

}  // namespace
}  // namespace fivefold::process::test
