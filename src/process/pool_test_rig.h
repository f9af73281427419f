#pragma once
// A pool with its home loop on a thread, and a launcher whose processes exist in memory only.
#include <gtest/gtest.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <future>
#include <map>
#include <set>
#include <thread>

#include "net/loop.h"
#include "process/pool.h"

namespace fivefold::process::test {

using namespace std::chrono_literals;

// Tests wait for what they expect, at most this long.
inline constexpr std::chrono::seconds kPatience{20};

template <class Condition>
bool eventually(Condition&& condition) {
  const auto until = net::Clock::now() + kPatience;
  while (!condition()) {
    if (net::Clock::now() > until) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

// A loop on a thread of its own.
class LoopThread {
 public:
  explicit LoopThread(unsigned index) : loop(index), thread_([this] { loop.run(); }) {}
  ~LoopThread() { stop(); }
  // Runs `work` on the loop and waits for it.
  void run(std::function<void()> work) {
    auto done = std::make_shared<std::promise<void>>();
    loop.post([work = std::move(work), done] {
      work();
      done->set_value();
    });
    done->get_future().wait();
  }
  void stop() {
    if (!thread_.joinable()) return;
    run([this] { tasks.clear(); });
    loop.stop();
    thread_.join();
  }
  net::Loop loop;
  net::TaskGroup tasks;

 private:
  std::thread thread_;
};

class Lines final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  bool has(const std::string& words) {
    const std::lock_guard lock(mutex_);
    return text_.find(words) != std::string::npos;
  }
  std::size_t count(const std::string& words) {
    const std::lock_guard lock(mutex_);
    std::size_t number = 0;
    for (auto at = text_.find(words); at != std::string::npos; at = text_.find(words, at + 1)) ++number;
    return number;
  }
  std::string text() {
    const std::lock_guard lock(mutex_);
    return text_;
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    text_.append(message.payload.data(), message.payload.size());
    text_ += '\n';
  }
  void flush_() override {}

 private:
  std::string text_;
};

class FakeProcess;

// What the fake processes do and what was done to them.
struct World {
  std::atomic<bool> fail = false;      // starts fail
  std::atomic<bool> hold = false;      // starts go on and on
  std::atomic<bool> stubborn = false;  // TERM is ignored
  std::atomic<bool> address = false;   // somebody else's processes
  std::atomic<bool> sick = false;      // probes fail
  std::atomic<pid_t> pid = 0;          // of all of them; 0: 1000 + id
  std::atomic<int> launches = 0, launching = 0;
  std::atomic<int> most_alive = 0;
  std::mutex mutex;
  std::set<std::uint32_t> alive;
  std::vector<std::string> story;                        // "TERM 1", "KILL 1", "disown 1"
  std::map<std::uint32_t, FakeProcess*> processes = {};  // home loop only

  void tell(std::string what) {
    const std::lock_guard lock(mutex);
    story.push_back(std::move(what));
  }
  bool told(const std::string& what) {
    const std::lock_guard lock(mutex);
    return std::ranges::count(story, what) > 0;
  }
  bool lives(std::uint32_t id) {
    const std::lock_guard lock(mutex);
    return alive.contains(id);
  }
  std::size_t living() {
    const std::lock_guard lock(mutex);
    return alive.size();
  }
};

class FakeChild final : public Child {
 public:
  FakeChild(World& world, net::Loop& loop, std::uint32_t id) : world_(world), exited_(loop), id_(id) {}
  pid_t pid() const override { return world_.pid != 0 ? world_.pid.load() : static_cast<pid_t>(1000 + id_); }
  const std::optional<ExitStatus>& exit_status() const override { return status_; }
  net::Event& exited() override { return exited_; }
  void signal(int number) override {
    world_.tell((number == SIGTERM ? "TERM " : "KILL ") + std::to_string(id_));
    if (number == SIGKILL)
      exit({.signal = SIGKILL});
    else if (!world_.stubborn)
      exit({.code = 0});
  }
  void set_grace(milliseconds) override {}
  void exit(ExitStatus status) {
    if (status_) return;
    status_ = status;
    exited_.set();
  }

 private:
  World& world_;
  net::Event exited_;
  std::optional<ExitStatus> status_;
  std::uint32_t id_;
};

class FakeProcess final : public InstanceProcess {
 public:
  FakeProcess(World& world, net::Loop& loop, std::uint32_t id)
      : world_(world), id_(id), thread_(std::this_thread::get_id()) {
    if (!world.address) child_ = std::make_unique<FakeChild>(world, loop, id);
    world_.processes[id] = this;
    const std::lock_guard lock(world.mutex);
    world_.alive.insert(id);
    world_.most_alive = std::max(world_.most_alive.load(), static_cast<int>(world_.alive.size()));
  }
  ~FakeProcess() override {
    EXPECT_EQ(thread_, std::this_thread::get_id()) << "processes end on their home loop";
    world_.processes.erase(id_);
    const std::lock_guard lock(world_.mutex);
    world_.alive.erase(id_);
  }
  FakeChild* child() override { return child_.get(); }
  net::Task<Result<void>> probe() override {
    if (world_.sick) co_return fail(Code::program_failed, "the health page answered 500");
    co_return Result<void>{};
  }
  void disown() override { world_.tell("disown " + std::to_string(id_)); }
  void serves(std::function<std::string()> the_request) override { the_request_ = std::move(the_request); }
  std::string the_request() const { return the_request_(); }
  std::string where_it_hangs() const override { return "in futex_wait"; }

 private:
  World& world_;
  std::uint32_t id_;
  std::thread::id thread_;
  std::function<std::string()> the_request_;
  std::unique_ptr<FakeChild> child_;
};

struct FakeAddress final : InstanceAddress {
  explicit FakeAddress(std::uint32_t n) : id(n) {}
  std::uint32_t id;
};

inline Launched make_instance(World& world, net::Loop& loop, std::uint32_t id) {
  return {std::make_unique<FakeProcess>(world, loop, id), std::make_shared<FakeAddress>(id)};
}

class FakeLauncher final : public Launcher {
 public:
  FakeLauncher(World& world, net::Loop& loop) : world_(world), loop_(loop) {}
  net::Task<Result<Launched>> launch(std::uint32_t id, std::shared_ptr<Journey> journey) override {
    ++world_.launches;
    struct Count {
      std::atomic<int>& number;
      explicit Count(std::atomic<int>& n) : number(n) { ++number; }
      ~Count() { --number; }
    } count(world_.launching);
    journey->step("spawned", loop_.now(), "pid " + std::to_string(1000 + id));
    co_await net::others_first(loop_);
    while (world_.hold) co_await net::sleep_until(loop_, loop_.now() + 1ms);
    if (world_.fail) {
      journey->output("no database\n");
      co_return fail(Code::program_failed, "exited with status 1");
    }
    co_return make_instance(world_, loop_, id);
  }

 private:
  World& world_;
  net::Loop& loop_;
};

struct Asked {
  std::atomic<bool> done = false;
  Result<std::unique_ptr<Lease>> result = std::unique_ptr<Lease>();
};

inline net::Task<void> ask_for(std::shared_ptr<Pool> pool, net::Loop& loop, LeaseWish wish,
                               std::shared_ptr<Asked> asked) {
  auto result = co_await pool->lease(loop, wish);
  asked->result = std::move(result);
  asked->done = true;
}

// Times are short; what a test is about it sets itself.
inline PoolSettings short_settings() {
  PoolSettings settings;
  settings.drain = 10s;
  settings.stop_grace = 10s;
  settings.first_backoff = 1ms;
  settings.longest_backoff = 20ms;
  settings.short_life = 0ms;
  return settings;
}

struct PoolRig {
  PoolRig() : log("test", lines) { log.set_level(spdlog::level::debug); }
  ~PoolRig() { end(); }

  void configure(PoolSettings settings, std::string fingerprint = "a", milliseconds expect_adopted = 0ms) {
    on_home([&] {
      pool->configure(settings, std::make_shared<FakeLauncher>(world, home.loop), fingerprint, expect_adopted);
    });
  }
  void on_home(std::function<void()> work) { home.run(std::move(work)); }
  std::unique_ptr<Lease> try_lease(LeaseWish wish = {}) { return pool->try_lease(wish); }
  // Asks on the home loop, which is as good as any.
  std::shared_ptr<Asked> ask(LeaseWish wish = {}) { return ask(home, wish); }
  std::shared_ptr<Asked> ask(LoopThread& on, LeaseWish wish = {}) {
    auto asked = std::make_shared<Asked>();
    on.run([&] { on.tasks.start(ask_for(pool, on.loop, wish, asked)); });
    return asked;
  }
  // Waits until these instances are ready, and no others.
  bool ready(std::vector<std::uint32_t> ids) {
    return eventually([&] {
      std::vector<std::uint32_t> now;
      for (const auto& each : pool->picture().instances)
        if (each.state == InstanceState::ready) now.push_back(each.id);
      std::ranges::sort(now);
      return now == ids;
    });
  }
  bool state(std::uint32_t id, InstanceState state) {
    return eventually([&] {
      for (const auto& each : pool->picture().instances)
        if (each.id == id && each.state == state) return true;
      return false;
    });
  }
  bool waiting(std::size_t number) {
    return eventually([&] { return pool->picture().waiting == number; });
  }
  // A line is written a moment after the picture has changed.
  bool logged(const std::string& words) {
    return eventually([&] { return lines->has(words); });
  }
  void crash(std::uint32_t id, ExitStatus status = {.code = 3}) {
    on_home([&] { world.processes.at(id)->child()->exit(status); });
  }
  void adopt(std::uint32_t id, std::string fingerprint = "a", milliseconds age = 1h) {
    on_home([&] { pool->adopt(id, make_instance(world, home.loop, id), fingerprint, age); });
  }
  std::future<Result<void>> restart(std::string reason) {
    auto promise = std::make_shared<std::promise<Result<void>>>();
    on_home([&] { pool->restart(reason, [promise](Result<void> result) { promise->set_value(std::move(result)); }); });
    return promise->get_future();
  }
  void end() {
    if (std::exchange(ended, true)) return;
    home.run([this] {
      home.tasks.clear();
      pool.reset();
      EXPECT_TRUE(world.processes.empty());
      EXPECT_EQ(world.launching, 0);
    });
    EXPECT_EQ(world.living(), 0u);
    home.stop();
  }

  bool ended = false;
  World world;
  std::shared_ptr<Lines> lines = std::make_shared<Lines>();
  Log log;
  LoopThread home{0};
  std::shared_ptr<Pool> pool = std::make_shared<Pool>("api", home.loop, log);
};

}  // namespace fivefold::process::test
