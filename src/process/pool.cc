#include "process/pool.h"

#include <utility>

#include "base/text.h"
#include "process/pool_home.h"
#include "process/pool_state.h"
#include "process/pool_words.h"

namespace fivefold::process {
namespace {

constexpr std::chrono::seconds kRetryAfter{5};
constexpr std::size_t kLongestReason = 256;  // a request's path may be in it

constexpr PoolSettings kDefaults;
static_assert(kDefaults.short_life == Pool::kShortLife && kDefaults.first_backoff == Pool::kFirstBackoff &&
              kDefaults.longest_backoff == Pool::kLongestBackoff && kDefaults.second_chance == Pool::kSecondChance);

std::unexpected<Error> unavailable(std::string message) {
  return fail(Code::program_unavailable, std::move(message), std::to_string(kRetryAfter.count()));
}

// Ends a wait however its coroutine ends: out of the queue, or with the place that it was given and did not take.
struct StopWaiting {
  PoolState& state;
  PoolWaiter& waiter;
  ~StopWaiting() {
    std::unique_ptr<Lease> lease;  // ends without the mutex: it takes it itself
    const std::lock_guard lock(state.mutex);
    if (waiter.stage == PoolWaiter::Stage::queued) {
      state.queue.erase(waiter.where);
      if (state.closed && state.queue.empty()) state.post_look();
    }
    waiter.stage = PoolWaiter::Stage::gone;
    lease = std::move(waiter.lease);
  }
};

}  // namespace

void PoolState::post_look() {
  if (look_posted || !home_loop) return;
  look_posted = true;
  home_loop->post([state = shared_from_this()] {
    if (state->home_side) state->home_side->look();
  });
}

// ---- Lease ----

Lease::Lease(std::shared_ptr<PoolState> pool, const LeaseWish& wish)
    : pool_(std::move(pool)), wish_(wish), since_(net::Clock::now()) {}

Lease::~Lease() {
  if (!instance_) return;
  const net::TimePoint now = net::Clock::now();
  const std::lock_guard lock(pool_->mutex);
  pool_->detach(*this, now);
}

InstanceAddress& Lease::address() const { return *instance_->address; }
std::uint32_t Lease::instance() const { return instance_->id; }
pid_t Lease::pid() const { return instance_->pid; }

void Lease::failed() {
  if (failed_) return;
  const net::TimePoint now = net::Clock::now();
  const std::lock_guard lock(pool_->mutex);
  failed_ = true;
  pool_->count_failure(*instance_, now);
}

void Lease::leaves() {
  const std::lock_guard lock(pool_->mutex);
  if (instance_->state == InstanceState::starting || instance_->state == InstanceState::failed) return;
  instance_->state = InstanceState::stopping;
  instance_->reason = "it ends by itself";
  pool_->post_look();
}

void Lease::died(std::string reason) {
  const std::lock_guard lock(pool_->mutex);
  failed_ = true;
  if (instance_->state != InstanceState::ready && instance_->state != InstanceState::ejected) return;
  instance_->state = InstanceState::stopping;
  instance_->dying = true;
  instance_->reason = printable(reason, kLongestReason);
  pool_->post_look();
}

void Lease::kill(std::string reason) {
  const std::lock_guard lock(pool_->mutex);
  failed_ = true;
  if (instance_->state == InstanceState::starting || instance_->state == InstanceState::failed) return;
  instance_->state = InstanceState::stopping;
  instance_->kill_reason = instance_->reason = printable(reason, kLongestReason);
  pool_->post_look();
}

void Lease::pass_on(const LeaseWish& wish) {
  const net::TimePoint now = net::Clock::now();
  const std::lock_guard lock(pool_->mutex);
  pool_->count_request(*this, now);
  wish_ = wish;
  words_.clear();
  since_ = now;
  failed_ = false;
}

bool Lease::serves_on() const {
  const std::lock_guard lock(pool_->mutex);
  return instance_->state == InstanceState::ready && instance_->replace_reason.empty();
}

void Lease::keep_words() {
  const std::lock_guard lock(pool_->mutex);
  if (!words_.empty()) return;
  words_.reserve(wish_.request_id.size() + wish_.what.size());
  words_.append(wish_.request_id).append(wish_.what);
  const std::string_view kept = words_;
  wish_.what = kept.substr(wish_.request_id.size());
  wish_.request_id = kept.substr(0, wish_.request_id.size());
}

void Lease::replace(std::string reason) {
  const net::TimePoint now = net::Clock::now();
  const std::lock_guard lock(pool_->mutex);
  failed_ = true;
  if (instance_->state == InstanceState::ready) pool_->eject(*instance_, printable(reason, kLongestReason), now);
}

void Lease::unreachable(std::string reason) {
  if (pid() == 0) return failed();  // an address rests after a few
  replace(std::move(reason));
}

// ---- Pool, any loop ----

Pool::Pool(std::string name, net::Loop& home, Log& log)
    : state_(std::make_shared<PoolState>(std::move(name), home)),
      home_(std::make_unique<PoolHome>(state_, home, log)) {}

Pool::~Pool() {
  net::Loop* loop = nullptr;
  {
    const std::lock_guard lock(state_->mutex);
    state_->closed = true;
    state_->refuse_waiters({Code::program_unavailable, state_->name + " is shutting down", "1"});
    for (const auto& each : state_->instances) each->state = InstanceState::stopping;
    loop = std::exchange(state_->home_loop, nullptr);
  }
  if (home_->here()) return;
  loop->post([home = std::shared_ptr<PoolHome>(std::move(home_))] {});
}

std::unique_ptr<Lease> Pool::try_lease(const LeaseWish& wish) {
  std::unique_ptr<Lease> lease(new Lease(state_, wish));
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->closed && state_->queue.empty())
      if (const auto* instance = state_->choose(wish)) {
        state_->attach(*lease, *instance);
        return lease;
      }
  }
  return nullptr;
}

net::Task<Result<std::unique_ptr<Lease>>> Pool::lease(net::Loop& loop, LeaseWish wish) {
  const std::shared_ptr<PoolState> state = state_;
  std::unique_ptr<Lease> lease(new Lease(state, wish));
  std::shared_ptr<PoolWaiter> waiter;
  milliseconds patience{0};
  std::size_t full = 0;
  {
    const std::lock_guard lock(state->mutex);
    patience = state->settings.queue_timeout;
    if (state->closed) co_return unavailable(state->name + " is shutting down");
    if (state->queue.empty())
      if (const auto* instance = state->choose(wish)) {
        state->attach(*lease, *instance);
        co_return std::move(lease);
      }
    if (state->given_up && !state->any_serving() && !state->second_chance_wanted) {
      if (loop.now() < state->second_chance_at) co_return std::unexpected(state->why_given_up());
      state->second_chance_wanted = true;
      state->post_look();
    }
    if (state->queue.size() < state->settings.queue) {
      waiter = std::make_shared<PoolWaiter>(loop, std::move(lease));
      waiter->where = state->queue.insert(state->queue.end(), waiter);
      if (state->queue.size() > state->look_above_waiting) {
        state->look_above_waiting = PoolState::kNoLook;
        state->post_look();
      }
    } else {
      full = state->settings.queue;
      ++state->queue_full;
    }
  }
  if (!waiter)
    co_return unavailable("no instance of " + state->name + " is free and " + requests_in_words(full) +
                          " wait for one already; raise the program's instances, concurrency or queue");

  const StopWaiting stop{*state, *waiter};
  net::Timer timeout(
      loop.timers(), [](void* context) { static_cast<PoolWaiter*>(context)->decided.set(); }, waiter.get());
  timeout.set(loop.now() + patience);
  co_await waiter->decided.wait();
  const std::lock_guard lock(state->mutex);
  if (waiter->stage == PoolWaiter::Stage::given) co_return std::move(waiter->lease);
  if (waiter->stage == PoolWaiter::Stage::refused) co_return std::unexpected(waiter->refusal);
  ++state->queue_timeouts;
  co_return unavailable("no instance of " + state->name + " became free within " + in_words(patience) +
                        "; the program is slower than its requests come, or has too few instances");
}

std::shared_ptr<const Journey> Pool::last_failure() const {
  const std::lock_guard lock(state_->mutex);
  return state_->last_failure;
}

Pool::Picture Pool::picture() const {
  const net::TimePoint now = net::Clock::now();
  const std::lock_guard lock(state_->mutex);
  return state_->picture(now);
}

// ---- Pool, home loop ----

void Pool::configure(PoolSettings settings, std::shared_ptr<Launcher> launcher, std::string fingerprint,
                     milliseconds expect_adopted) {
  home_->configure(settings, std::move(launcher), std::move(fingerprint), expect_adopted);
}
void Pool::adopt(std::uint32_t id, Launched launched, std::string fingerprint, milliseconds age) {
  home_->adopt(id, std::move(launched), std::move(fingerprint), age);
}
void Pool::restart(std::string reason, Done done) { home_->restart(std::move(reason), std::move(done)); }
void Pool::signal(std::uint32_t id, int number) { home_->signal(id, number); }
void Pool::shutdown(net::TimePoint deadline, std::function<void()> done) { home_->shutdown(deadline, std::move(done)); }
void Pool::disown_all() { home_->disown_all(); }

}  // namespace fivefold::process
