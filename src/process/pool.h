#pragma once
// All instances of one program: how many there are, who gets the next request, who waits, who is replaced.
//
//     request loops --lease()--> Pool --launch()--> Launcher --> Instance
//                   <--Lease---       <--ready, exited, probe failed--
//
// Leases are taken and given back on any loop, under one mutex that is held for a few instructions; starting, watching
// and ending instances happens on the home loop. How many there should be is decided by scaling_policy.h, purely.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "net/loop.h"
#include "net/task.h"
#include "process/instance.h"
#include "process/journey.h"

namespace fivefold::process {

using std::chrono::milliseconds;

struct PoolSettings {
  std::uint32_t min_instances = 1;
  std::uint32_t max_instances = 1;
  milliseconds idle_timeout{60'000};  // an instance above the minimum that has had no request for this long ends
  std::uint32_t concurrency = 0;      // requests that one instance gets at once; 0: no cap
  bool most_recent = false;           // of equals the one that was used last, not the lowest id: its caches are warm
  std::size_t queue = 1024;           // requests that wait for an instance; one more is 503 at once
  milliseconds queue_timeout{30'000};
  std::uint64_t max_requests = 0;   // an instance is replaced after this many; 0: never. Each instance's own number is
                                    // up to a tenth less, so that they do not all go at once
  std::uint64_t max_memory = 0;     // resident bytes, looked at every kMemoryLook; above it the instance is replaced
  milliseconds max_age{0};          // 0: never; with the same jitter
  milliseconds drain{30'000};       // how long requests may go on in an instance that is being replaced
  milliseconds stop_grace{10'000};  // from TERM to KILL
  std::uint32_t start_retries = 5;  // failed starts in a row, or crashes soon after one, before the program is given up
  milliseconds health_interval{0};  // 0: no active checks
  std::uint32_t health_failures = 3;  // in a row, before the instance is replaced (a process) or ejected (an address)
  std::uint32_t eject_failures = 3;   // failed requests in a row before an instance gets no more for a while; 0: never
  // An instance that has had a request and dies young has not failed to start: the request is to blame, and another one
  // is started at once.
  bool requests_crash = false;
  // The exit status that says that an instance could not start, though it had seemed to be ready and may have been
  // given requests: its end counts as a failed start whatever else holds. None by default.
  std::optional<int> start_failure_status = std::nullopt;
  // Not for operators. The named constants are Pool's own.
  milliseconds short_life{10'000};       // kShortLife
  milliseconds first_backoff{100};       // kFirstBackoff
  milliseconds longest_backoff{30'000};  // kLongestBackoff
  milliseconds second_chance{60'000};    // kSecondChance
};

// What a request would like. Views live as long as the lease.
struct LeaseWish {
  std::string_view request_id;
  std::string_view what;       // method and path, for `status`
  std::uint32_t sticky = 0;    // the instance this client had before; 0: none
  std::uint32_t not_this = 0;  // an instance that has just failed this request; 0: none
};

class Pool;
class PoolHome;    // pool_home.h
struct PoolState;  // pool_state.h
struct Instance;   // pool_state.h

// One request's turn on an instance. Given back when it ends. On the loop that took it. It may outlive the pool: the
// address stays, the process behind it does not.
class Lease {
 public:
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  InstanceAddress& address() const;
  std::uint32_t instance() const;  // never 0, never used twice in a pool's life
  pid_t pid() const;               // 0: not our process

  // The instance did not do its work (refused, died, answered nonsense). Counts towards its ejection; a lease that ends
  // without this counts as a success.
  void failed();
  // A connection to it could not be opened: it gets no request before it has been looked at, and a process of ours that
  // is reached no more is replaced at once. A later lease() that names it in `not_this` waits for another instance.
  void unreachable(std::string reason);
  // The instance has said that it ends by itself after this request: it gets no more, and its end is no crash. One that
  // is still there after stop_grace is killed.
  void leaves();
  // Its process is dead or about to die, as its connection tells: it gets no more requests, and its end is a crash.
  void died(std::string reason);
  // The instance is beyond help: it is killed at once, whatever else is on it, and that is no crash of its own.
  void kill(std::string reason);
  // The instance goes on with another request, which has waited: this one has ended well, and the lease is the other's
  // from here on.
  void pass_on(const LeaseWish& wish);
  // Whether the instance is to get more requests after this one: it is neither being replaced nor ending.
  bool serves_on() const;
  // What the wish views is going: the lease keeps it itself from here on.
  void keep_words();
  // The instance is stuck or not to be trusted any more: it is replaced. Others on it may finish. With `reason` for the
  // log ("the request GET /x passed its timeout of 30 s").
  void replace(std::string reason);

 private:
  friend class Pool;
  friend struct PoolState;
  Lease(std::shared_ptr<PoolState> pool, const LeaseWish& wish);
  std::shared_ptr<PoolState> pool_;
  std::shared_ptr<Instance> instance_;  // null: not given one yet
  LeaseWish wish_;
  std::string words_;  // that wish_ views, once they are kept
  net::TimePoint since_;
  bool failed_ = false;
  Lease* previous_ = nullptr;  // among the instance's
  Lease* next_ = nullptr;
};

class Pool {
 public:
  static constexpr milliseconds kMemoryLook{1000};
  static constexpr milliseconds kShortLife{
      10'000};  // an instance that ends sooner than this after its start counts as a failed start
  static constexpr milliseconds kFirstBackoff{100};       // between failed starts; doubles, with jitter ...
  static constexpr milliseconds kLongestBackoff{30'000};  // ... up to this
  static constexpr milliseconds kSecondChance{
      60'000};  // after this long, a request to a program that was given up starts it once more
  static constexpr std::uint32_t kElasticConcurrency =
      16;  // without a cap, this many requests at once on each instance call for one more
  static constexpr std::size_t kFailuresShown = 8;  // failed instances kept for `status`

  // `name` is the program's. `home` and `log` outlive the pool. Nothing is started before configure().
  Pool(std::string name, net::Loop& home, Log& log);
  // At the top of the home loop: ends every instance and leaves nothing running. On another thread the home loop does
  // so as soon as it comes to it.
  ~Pool();

  // ---- any loop ----

  // An instance at once, if one is free and nobody waits; null else.
  std::unique_ptr<Lease> try_lease(const LeaseWish& wish);
  // Waits for one in the queue; a waiter that is let go of leaves it. Code::program_unavailable with Retry-After as
  // detail: the queue is full, the wait too long, or the pool is shutting down. Code::program_failed: the program
  // cannot be started; last_failure() tells why.
  net::Task<Result<std::unique_ptr<Lease>>> lease(net::Loop& loop, LeaseWish wish);

  // The journey of the last start that failed; null when the last start succeeded.
  std::shared_ptr<const Journey> last_failure() const;

  struct Listed {
    std::uint32_t id = 0;
    pid_t pid = 0;
    InstanceState state = InstanceState::starting;
    std::string reason;
    milliseconds age{0};
    std::uint64_t requests = 0;
    struct Request {
      std::string id, what;
      milliseconds age{0};
    };
    std::vector<Request> active;
    std::string journey;  // of a failed one
  };
  struct Picture {
    std::vector<Listed> instances;
    std::size_t waiting = 0;
    std::uint64_t requests = 0;
    std::uint64_t starts = 0, failed_starts = 0, crashes = 0, queue_full = 0, queue_timeouts = 0;
    std::string last_failure;  // a sentence
    std::int64_t last_failure_at = 0;
  };
  Picture picture() const;

  // ---- home loop, from the top of the loop ----

  // How it is from now on. `fingerprint` stands for all that an instance is made of (command, environment, user): when
  // it differs from the current one, instances of the old launcher are replaced one by one as restart() does. The
  // settings count at once. The first call starts the minimum.
  // `expect_adopted`: a server before this one may hand its instances over: nothing is started for so long.
  void configure(PoolSettings settings, std::shared_ptr<Launcher> launcher, std::string fingerprint,
                 milliseconds expect_adopted = milliseconds{0});

  // An instance of an earlier server, which is ready. One whose fingerprint is not the current one serves until a new
  // one is ready. `id` is kept if it is free.
  void adopt(std::uint32_t id, Launched launched, std::string fingerprint, milliseconds age);

  // Replaces every instance, one at a time: the new one becomes ready before the old one drains. When a new one does
  // not become ready, the rest stay as they are and that is the result. A restart during another joins it and begins
  // anew after it. `reason` is for the log. `done` is called from the top of the loop, with Code::cancelled when the
  // pool shuts down first; an error's detail is the journey of the start that failed, as text.
  using Done = std::function<void(Result<void>)>;
  void restart(std::string reason, Done done = {});

  // To the process of one instance, if it lives.
  void signal(std::uint32_t id, int number);

  // No more requests; waits for those under way until `deadline`, ends all instances, then `done`.
  void shutdown(net::TimePoint deadline, std::function<void()> done);
  // Lets all instances go on for the next server. Requests under way may finish over their leases, and those that still
  // come may lease an instance that was ready; nothing is started any more.
  void disown_all();

 private:
  std::shared_ptr<PoolState> state_;
  std::unique_ptr<PoolHome> home_;
};

}  // namespace fivefold::process
