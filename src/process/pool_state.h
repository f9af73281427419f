#pragma once
// What a pool's request loops and its home loop share: the instances as requests see them, and the queue. Everything
// here is guarded by one mutex, held for a few instructions; it outlives the pool as long as leases do.
#include <deque>
#include <limits>
#include <list>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "process/pool.h"

namespace fivefold::process {

class PoolHome;

// Guarded by PoolState::mutex.
struct Instance {
  Instance(std::uint32_t number, net::TimePoint now) : id(number), started(now), idle_since(now) {}
  const std::uint32_t id;
  InstanceState state = InstanceState::starting;
  std::string reason;  // of the state, for `status`
  pid_t pid = 0;
  bool own = false;                          // a process of ours, not an address
  std::shared_ptr<InstanceAddress> address;  // set once, before it is ready
  net::TimePoint started;
  net::TimePoint idle_since;
  std::uint32_t active = 0;
  std::uint64_t requests = 0;       // that have ended
  std::uint64_t request_limit = 0;  // its own part of max_requests; 0: none
  std::uint32_t failures = 0;       // failed requests in a row
  std::uint32_t ejections = 0;      // in a row
  net::TimePoint rest_until{};      // while ejected
  net::TimePoint failed_at{};       // the last failed request or health check
  bool news = false;                // the state changed on a request loop: the home loop has not seen it yet
  std::string replace_reason;       // not empty: it is to be replaced
  bool dying = false;               // its end will be a crash, though it is no longer ready
  std::string kill_reason;          // not empty: it is to be killed
  Lease* leases = nullptr;
  // The two requests that have ended last, and the id of the very last.
  std::string ended_id;
  net::TimePoint ended_at{};
  net::TimePoint ended_before_at{};
};

// One lease() that waits. `stage`, `lease` and `refusal` are guarded by the mutex; the event belongs to the waiter's
// loop.
struct PoolWaiter {
  enum class Stage { queued, given, refused, gone };
  PoolWaiter(net::Loop& l, std::unique_ptr<Lease> empty) : loop(l), lease(std::move(empty)), decided(l) {}
  net::Loop& loop;
  Stage stage = Stage::queued;
  std::unique_ptr<Lease> lease;  // made beforehand, so that nothing is allocated while a place changes hands
  std::list<std::shared_ptr<PoolWaiter>>::iterator where;  // while queued
  Error refusal;
  net::Event decided;
};

struct PoolState : std::enable_shared_from_this<PoolState> {
  static constexpr std::size_t kNoLook = std::numeric_limits<std::size_t>::max();

  PoolState(std::string program, net::Loop& home) : name(std::move(program)), home_loop(&home) {}

  const std::string name;
  mutable std::mutex mutex;

  // ---- with the mutex held ----

  net::Loop* home_loop;  // null once the pool is gone
  bool look_posted = false;
  PoolSettings settings;
  std::vector<std::shared_ptr<Instance>> instances;
  std::list<std::shared_ptr<PoolWaiter>> queue;  // the oldest first
  bool closed = false;                           // no more requests
  bool given_up = false;
  net::TimePoint second_chance_at{};   // while given up
  bool second_chance_wanted = false;   // a request has asked for it
  std::size_t look_above_active = 0;   // more requests than this on ready instances may call for one more
  std::size_t look_above_waiting = 0;  // likewise in the queue
  std::shared_ptr<const Journey> last_failure;
  std::string last_failure_text;
  std::int64_t last_failure_at = 0;  // seconds since 1970
  std::uint64_t requests = 0;
  std::uint64_t starts = 0, failed_starts = 0, crashes = 0, queue_full = 0, queue_timeouts = 0;
  struct Failed {
    Pool::Listed listed;
    net::TimePoint started;
  };
  std::deque<Failed> failed;  // the latest last, kFailuresShown of them
  std::minstd_rand random{std::random_device{}()};

  // The instance that a request with this wish goes to; null: none is free. Asks for a look where one more may be
  // needed.
  const std::shared_ptr<Instance>* choose(const LeaseWish& wish);
  void attach(Lease& lease, const std::shared_ptr<Instance>& instance);
  // One request has ended on the instance of this lease.
  void count_request(Lease& lease, net::TimePoint now);
  // Takes the instance from a lease and gives its place to who has waited longest.
  void detach(Lease& lease, net::TimePoint now);
  // The id of the request that was alone on it for the last kLineOnItsWay; empty when there was none, or several.
  static constexpr milliseconds kLineOnItsWay{5};  // from a program's write to our read of it
  static std::string the_request(const Instance& instance, net::TimePoint now);
  // Hands free places to the queue, the oldest first.
  void serve_waiters();
  void refuse_waiters(const Error& error);
  // Counts a failed request; ejects.
  void count_failure(Instance& instance, net::TimePoint now);
  void eject(Instance& instance, std::string reason, net::TimePoint now);
  bool any_serving() const;  // ready or ejected
  // The home loop looks at everything, once, from its top.
  void post_look();
  // `time`, give or take a quarter.
  milliseconds jittered(milliseconds time);
  milliseconds backoff(std::uint32_t failures);
  Error why_given_up() const;
  Pool::Picture picture(net::TimePoint now) const;

  // ---- on the home loop only ----

  PoolHome* home_side = nullptr;
};

}  // namespace fivefold::process
