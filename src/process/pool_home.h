#pragma once
// A pool's home loop: starts, watches, replaces and ends its instances. What happens (a start is over, a process has
// ended, a time has come) only asks for a look; look() then goes over everything from the top of the loop, does what is
// due and sets one timer for what is next. So no step runs inside another, and nothing is destroyed while it runs.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/loop.h"
#include "process/pool.h"
#include "process/pool_state.h"
#include "process/scaling_policy.h"

namespace fivefold::process {

// The home loop's care for one instance.
struct Tended {
  std::shared_ptr<Instance> instance;
  std::string fingerprint;       // of what it was made from
  std::uint64_t generation = 0;  // older than the pool's: made before the last restart
  net::TimePoint launched;       // by us, not the earlier server that it came from
  std::shared_ptr<Journey> journey;
  std::uint32_t replaces = 0;     // the instance that drains when this one is ready; 0: none
  std::uint32_t replaced_by = 0;  // the one that starts for it; 0: none
  std::optional<Result<Launched>> outcome;
  bool adopted = false;  // started by an earlier server
  bool crashed = false;  // ended by itself while it served
  bool exited = false;
  bool killed = false;
  bool probed = false;       // has its health checked
  bool gone = false;         // to be let go of at the end of the look
  bool handed_over = false;  // the next server's, but requests of this one may still go to it
  std::uint32_t probe_failures = 0;
  net::TimePoint drain_until = net::kNever;
  net::TimePoint next_step = net::kNever;  // of its ending: KILL, or to be let go of
  net::TimePoint expires = net::kNever;    // max_age
  // The tasks wait for the process: they end first.
  std::unique_ptr<InstanceProcess> process;
  net::TaskGroup tasks;

  std::uint32_t id() const { return instance->id; }
};

class PoolHome {
 public:
  static constexpr std::uint32_t kStartsAtOnce = 4;
  static constexpr milliseconds kKillPatience{5000};  // after KILL; a process in the kernel's hands may not end

  PoolHome(std::shared_ptr<PoolState> state, net::Loop& loop, Log& log);
  ~PoolHome();

  void look();
  // The thread that runs the loop, or nobody has used the pool yet.
  bool here() const { return thread_ == std::thread::id() || thread_ == std::this_thread::get_id(); }

  void configure(PoolSettings settings, std::shared_ptr<Launcher> launcher, std::string fingerprint,
                 milliseconds expect_adopted);
  void adopt(std::uint32_t id, Launched launched, std::string fingerprint, milliseconds age);
  void restart(std::string reason, Pool::Done done);
  void signal(std::uint32_t id, int number);
  void shutdown(net::TimePoint deadline, std::function<void()> done);
  void disown_all();

 private:
  // pool_home.cc: starting, ready, failed
  Tended& start(const std::string& why, std::uint32_t replaces);
  net::Task<void> launch(Tended& tended, std::shared_ptr<Launcher> launcher);
  net::Task<void> watch(Tended& tended);
  void take_outcomes(net::TimePoint now);
  void became_ready(Tended& tended, net::TimePoint now);
  void failed_to_start(Tended& tended, const Error& error, net::TimePoint now);
  void keep_failure(Tended& tended, const std::string& what);
  std::string count_failure(const Tended& tended, net::TimePoint now);
  void note_long_lives(net::TimePoint now);
  void scale(net::TimePoint now);
  void settle(net::TimePoint now);
  void second_chance(net::TimePoint now);
  // pool_endings.cc: crashes, draining, stopping
  void take_exits(net::TimePoint now);
  void crashed(Tended& tended, net::TimePoint now);
  void drain(Tended& tended, const std::string& why, net::TimePoint now);
  void advance_endings(net::TimePoint now);
  void stop(Tended& tended, const std::string& why, net::TimePoint now);
  void abort_start(Tended& tended, const std::string& why);
  void close(net::TimePoint now);
  void remove_gone();
  // pool_replace.cc: recycling, restarts, health
  void recycle(net::TimePoint now);
  void tell_news(net::TimePoint now);
  void replace(net::TimePoint now);
  bool outdated(const Tended& tended) const;
  void begin_rolling(std::string reason, Pool::Done done);
  void roll(net::TimePoint now);
  void end_rolling(Result<void> result);
  void check_health(net::TimePoint now);
  net::Task<void> probe(Tended& tended);
  void probed(Tended& tended, const Result<void>& result);

  Tended* find(std::uint32_t id);
  InstanceState state_of(const Tended& tended) const;
  bool serving(const Tended& tended) const;  // ready or ejected
  std::uint32_t starting() const;
  std::uint32_t starts_at_once() const { return failures_ == 0 ? kStartsAtOnce : 1; }
  bool held_back(net::TimePoint now);  // no start before a time that it asks to be woken at
  std::uint32_t new_id();
  bool id_is_free(std::uint32_t id) const;
  void use_id(std::uint32_t id);
  void ask_for_look();
  void wake(net::TimePoint at) { next_look_ = std::min(next_look_, at); }
  std::string called(const Tended& tended) const;  // "api: instance 3 (pid 4711)"

  std::shared_ptr<PoolState> state_;
  net::Loop& loop_;
  Log& log_;
  std::thread::id thread_;
  PoolSettings settings_;  // the state's, without the mutex
  std::shared_ptr<Launcher> launcher_;
  std::string fingerprint_;
  std::uint64_t generation_ = 1;
  net::TimePoint expecting_until_{};  // the instances of an earlier server
  std::uint32_t next_id_ = 1;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> used_ids_;  // ranges, both ends included

  // Failed starts in a row. Starts that ran at the same time fail as one.
  std::uint32_t failures_ = 0;
  net::TimePoint last_failure_{};
  std::optional<net::TimePoint> not_before_;
  bool given_up_ = false;

  struct Rolling {
    bool active = false;
    std::string reason;
    std::vector<Pool::Done> dones;
    std::uint32_t in_flight = 0;  // the instance whose readiness is awaited
    bool must_start = false;      // one was given up for this restart, and takes its turn
    std::uint32_t replaced = 0;
    bool again = false;  // asked for meanwhile
    std::string again_reason;
    std::vector<Pool::Done> again_dones;
  } rolling_;

  bool disowned_ = false;
  bool closing_ = false;
  net::TimePoint close_at_ = net::kNever;
  std::function<void()> closed_;

  std::size_t waiting_seen_ = 0;  // by the last decision
  net::TimePoint next_memory_look_{};
  net::TimePoint next_look_ = net::kNever;
  net::Timer timer_;
  std::map<std::uint32_t, std::unique_ptr<Tended>> tended_;
};

}  // namespace fivefold::process
