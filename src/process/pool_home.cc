#include "process/pool_home.h"

#include <algorithm>

#include "base/text.h"
#include "process/pool_words.h"

namespace fivefold::process {
namespace {

constexpr std::size_t kLongestReason = 1024;  // of a failure, in a line of the log

}  // namespace

PoolHome::PoolHome(std::shared_ptr<PoolState> state, net::Loop& loop, Log& log)
    : state_(std::move(state)),
      loop_(loop),
      log_(log),
      timer_(loop.timers(), [](void* self) { static_cast<PoolHome*>(self)->look(); }, this) {
  state_->home_side = this;
}

PoolHome::~PoolHome() { state_->home_side = nullptr; }

void PoolHome::look() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->look_posted = false;
    if (!state_->home_loop) return;  // the pool is gone
  }
  const net::TimePoint now = loop_.now();
  next_look_ = net::kNever;
  take_outcomes(now);
  take_exits(now);
  note_long_lives(now);
  tell_news(now);
  if (closing_) {
    close(now);
  } else if (launcher_ && !disowned_) {
    check_health(now);
    recycle(now);
    second_chance(now);
    roll(now);
    replace(now);
    scale(now);
  }
  advance_endings(now);
  settle(now);
  remove_gone();
  if (next_look_ == net::kNever)
    timer_.cancel();
  else
    timer_.set(next_look_);
  if (closing_ && tended_.empty() && closed_) loop_.post(std::exchange(closed_, {}));
}

// ---- starting ----

Tended& PoolHome::start(const std::string& why, std::uint32_t replaces) {
  const net::TimePoint now = loop_.now();
  const std::uint32_t id = new_id();
  Tended& tended = *(tended_[id] = std::make_unique<Tended>());
  tended.instance = std::make_shared<Instance>(id, now);
  tended.fingerprint = fingerprint_;
  tended.generation = generation_;
  tended.launched = now;
  tended.journey = std::make_shared<Journey>(now);
  tended.replaces = replaces;
  {
    const std::lock_guard lock(state_->mutex);
    tended.instance->reason = why;
    state_->instances.push_back(tended.instance);
    ++state_->starts;
  }
  log_.info("{}: instance {} starting: {}", state_->name, id, why);
  tended.tasks.start(launch(tended, launcher_));
  return tended;
}

net::Task<void> PoolHome::launch(Tended& tended, std::shared_ptr<Launcher> launcher) {
  auto outcome = co_await launcher->launch(tended.id(), tended.journey);
  tended.outcome.emplace(std::move(outcome));
  ask_for_look();
}

void PoolHome::take_outcomes(net::TimePoint now) {
  for (const auto& [id, each] : tended_) {
    if (!each->outcome) continue;
    Result<Launched> outcome = std::move(*each->outcome);
    each->outcome.reset();
    if (!outcome) {
      failed_to_start(*each, outcome.error(), now);
      continue;
    }
    each->process = std::move(outcome->process);
    {
      const std::lock_guard lock(state_->mutex);
      each->instance->address = std::move(outcome->address);
    }
    each->process->serves([state = state_, instance = each->instance, &loop = loop_] {
      const std::lock_guard lock(state->mutex);
      return PoolState::the_request(*instance, loop.now());
    });
    became_ready(*each, now);
  }
}

void PoolHome::became_ready(Tended& tended, net::TimePoint now) {
  Instance& instance = *tended.instance;
  Child* child = tended.process->child();
  {
    const std::lock_guard lock(state_->mutex);
    const auto up_to_a_tenth = [&](std::uint64_t number) {
      return number / 10 == 0 ? 0 : std::uniform_int_distribution<std::uint64_t>(0, number / 10)(state_->random);
    };
    instance.own = child != nullptr;
    instance.pid = child ? child->pid() : 0;
    instance.request_limit = child ? settings_.max_requests - up_to_a_tenth(settings_.max_requests) : 0;
    if (child && settings_.max_age > milliseconds::zero()) {
      const auto age = static_cast<std::uint64_t>(settings_.max_age.count());
      tended.expires = instance.started + settings_.max_age - milliseconds(up_to_a_tenth(age));
    }
    instance.state = InstanceState::ready;
    instance.reason.clear();
    instance.idle_since = now;
    // Where being ready says little, its first request that went well does.
    if (!settings_.start_failure_status) state_->last_failure = nullptr;
  }
  if (child) {
    child->set_grace(settings_.stop_grace);
    tended.tasks.start(watch(tended));
  }
  if (tended.adopted)
    log_.info("{} taken over from an earlier server, {} after its start", called(tended),
              in_words(now - tended.launched));
  else
    log_.info("{} ready after {}", called(tended), in_words(now - tended.launched));
  if (Tended* old = find(tended.replaces)) {
    std::string why;
    {
      const std::lock_guard lock(state_->mutex);
      why = old->instance->replace_reason;
    }
    if (why.empty()) why = rolling_.reason;
    old->replaced_by = 0;
    if (serving(*old)) drain(*old, why + "; instance " + std::to_string(tended.id()) + " takes over", now);
  }
  tended.replaces = 0;
  if (rolling_.in_flight == tended.id()) {
    rolling_.in_flight = 0;
    ++rolling_.replaced;
  }
}

void PoolHome::failed_to_start(Tended& tended, const Error& error, net::TimePoint now) {
  if (tended.journey->failure().empty()) tended.journey->failed(error.message);
  const bool of_restart = rolling_.in_flight == tended.id();
  std::string then = count_failure(tended, now);
  if (of_restart && std::ranges::any_of(tended_, [this](const auto& each) { return serving(*each.second); }))
    then = "those of before stay as they are";
  log_.error("{}: instance {} failed to start after {}: {}; {}", state_->name, tended.id(),
             in_words(now - tended.launched), printable(error.message, kLongestReason), then);
  const std::string story = tended.journey->as_text();
  if (!story.empty()) log_.error("{}: the start of instance {}:\n{}", state_->name, tended.id(), story);
  {
    const std::lock_guard lock(state_->mutex);
    ++state_->failed_starts;
  }
  keep_failure(tended, error.message);
  if (Tended* old = find(tended.replaces)) old->replaced_by = 0;
  tended.gone = true;
  if (!of_restart) return;
  rolling_.in_flight = 0;
  end_rolling(fail(Code::program_failed,
                   "instance " + std::to_string(tended.id()) + " of " + state_->name + " failed to start: " +
                       error.message + "; instances that have not been replaced stay as they are",
                   story));
}

// For `status` and the error page: a copy, since a launcher may go on writing the journey.
void PoolHome::keep_failure(Tended& tended, const std::string& what) {
  auto journey = std::make_shared<const Journey>(*tended.journey);
  const std::lock_guard lock(state_->mutex);
  std::erase(state_->instances, tended.instance);
  const Instance& instance = *tended.instance;
  state_->failed.push_back({.listed = {.id = instance.id,
                                       .pid = instance.pid,
                                       .state = InstanceState::failed,
                                       .reason = what,
                                       .requests = instance.requests,
                                       .journey = journey->as_text()},
                            .started = instance.started});
  if (state_->failed.size() > Pool::kFailuresShown) state_->failed.pop_front();
  state_->last_failure = std::move(journey);
  state_->last_failure_text = what;
  state_->last_failure_at =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Says what happens next.
std::string PoolHome::count_failure(const Tended& tended, net::TimePoint now) {
  note_long_lives(now);
  if (failures_ == 0 || tended.launched > last_failure_) {
    ++failures_;
    last_failure_ = now;
  }
  const std::lock_guard lock(state_->mutex);
  if (failures_ >= std::max<std::uint32_t>(settings_.start_retries, 1)) {
    given_up_ = state_->given_up = true;
    state_->second_chance_wanted = false;
    state_->second_chance_at = now + settings_.second_chance;
    not_before_.reset();
    return fmt::format(
        "given up after {} failed start{}; a restart, a reload or a request after {} starts it once more", failures_,
        failures_ == 1 ? "" : "s", in_words(settings_.second_chance));
  }
  const milliseconds wait = state_->backoff(failures_);
  not_before_ = now + wait;
  return "tried again in " + in_words(wait);
}

// One that was started after the last failure and has lived long enough ends the row of failures.
void PoolHome::note_long_lives(net::TimePoint now) {
  if (failures_ == 0 || given_up_) return;
  for (const auto& [id, each] : tended_)
    if (each->process && each->launched > last_failure_ && now - each->launched >= settings_.short_life &&
        serving(*each))
      failures_ = 0;
}

// A program that was given up is started once more when a request asks for it late enough; or by itself, while
// instances of before still serve.
void PoolHome::second_chance(net::TimePoint now) {
  if (!given_up_) return;
  const std::lock_guard lock(state_->mutex);
  const bool serving = state_->any_serving();
  if (now < state_->second_chance_at) {
    if (serving) wake(state_->second_chance_at);
    return;
  }
  if (!serving && !state_->second_chance_wanted) return;
  given_up_ = state_->given_up = state_->second_chance_wanted = false;
  failures_ = std::max<std::uint32_t>(settings_.start_retries, 2) - 1;  // the next failure gives it up again
}

// ---- how many ----

void PoolHome::scale(net::TimePoint now) {
  const ScalingLimits limits{.min_instances = settings_.min_instances,
                             .max_instances = settings_.max_instances,
                             .idle_timeout = settings_.idle_timeout,
                             .concurrency = settings_.concurrency,
                             .elastic_concurrency = Pool::kElasticConcurrency,
                             .starts_at_once = starts_at_once()};
  ScalingPicture picture{.now = now};
  std::vector<Tended*> ready, idle;
  {
    const std::lock_guard lock(state_->mutex);
    for (const auto& [id, each] : tended_) {
      const Instance& instance = *each->instance;
      if (each->gone) continue;
      if (each->crashed) ++picture.ready;  // until its end is dealt with
      if (instance.state == InstanceState::starting) ++picture.starting;
      if (each->replaced_by != 0) continue;
      if (instance.state == InstanceState::ejected) ++picture.ready;
      if (instance.state != InstanceState::ready) continue;
      ++picture.ready;
      picture.active += instance.active;
      ready.push_back(each.get());
      if (instance.active != 0) continue;
      picture.idle_since.push_back(instance.idle_since);
      idle.push_back(each.get());
    }
    picture.waiting = waiting_seen_ = state_->queue.size();
  }
  const bool held = held_back(now);
  const ScalingDecision decision = decide(limits, picture);
  if (decision.look_again) wake(*decision.look_again);
  // One that becomes idle after this look is found in time.
  if (picture.ready > limits.min_instances) wake(now + limits.idle_timeout);

  if (!held)
    for (std::uint32_t i = 0; i < decision.start; ++i) {
      const std::uint32_t alive = picture.ready + picture.starting + i;
      start(alive < limits.min_instances ? "there are to be " + std::to_string(limits.min_instances)
            : picture.waiting > 0        ? requests_in_words(picture.waiting) + " waiting"
                                         : requests_in_words(picture.active) + " at once",
            0);
    }
  for (const std::size_t index : decision.stop)
    drain(*idle[index],
          picture.ready > limits.max_instances ? "there are more than " + std::to_string(limits.max_instances)
                                               : "no request for " + in_words(limits.idle_timeout),
          now);
  if (decision.surplus == 0) return;
  std::erase_if(ready, [this](const Tended* each) { return state_of(*each) != InstanceState::ready; });
  std::ranges::sort(ready, [this](const Tended* a, const Tended* b) {
    return outdated(*a) != outdated(*b) ? outdated(*a) : a->id() > b->id();
  });
  for (std::size_t i = 0; i < ready.size() && i < decision.surplus; ++i)
    drain(*ready[i], "there are more than " + std::to_string(limits.max_instances), now);
}

// The queue after everything else is decided, and when a request is to ask for the next look.
void PoolHome::settle(net::TimePoint now) {
  const bool held = held_back(now);
  const std::lock_guard lock(state_->mutex);
  std::size_t starting = 0, alive = 0;
  for (const auto& [id, each] : tended_) {
    const InstanceState state = each->instance->state;
    if (each->gone) continue;
    if (state == InstanceState::starting) ++starting;
    if (state == InstanceState::starting ||
        (each->replaced_by == 0 && (state == InstanceState::ready || state == InstanceState::ejected)))
      ++alive;
  }
  if (given_up_ && starting == 0 && !state_->any_serving()) state_->refuse_waiters(state_->why_given_up());
  state_->serve_waiters();
  state_->look_above_active = state_->look_above_waiting = PoolState::kNoLook;
  if (launcher_ && !closing_ && !disowned_ && !held && alive < settings_.max_instances && starting < starts_at_once()) {
    const std::size_t each = settings_.concurrency != 0 ? settings_.concurrency : Pool::kElasticConcurrency;
    state_->look_above_waiting = starting * each;
    if (settings_.concurrency == 0) state_->look_above_active = alive * each;
    // Who came since the decision was not asked to call for a look by the old mark.
    if (state_->queue.size() > std::max(waiting_seen_, state_->look_above_waiting)) state_->post_look();
  }
}

bool PoolHome::held_back(net::TimePoint now) {
  bool held = given_up_;
  for (const net::TimePoint at : {expecting_until_, not_before_.value_or(net::TimePoint{})}) {
    if (at <= now) continue;
    wake(at);
    held = true;
  }
  return held;
}

// ---- small things ----

Tended* PoolHome::find(std::uint32_t id) {
  const auto found = tended_.find(id);
  return found == tended_.end() || found->second->gone ? nullptr : found->second.get();
}

InstanceState PoolHome::state_of(const Tended& tended) const {
  const std::lock_guard lock(state_->mutex);
  return tended.instance->state;
}

bool PoolHome::serving(const Tended& tended) const {
  if (tended.gone) return false;
  const InstanceState state = state_of(tended);
  return state == InstanceState::ready || state == InstanceState::ejected;
}

std::uint32_t PoolHome::starting() const {
  return static_cast<std::uint32_t>(std::ranges::count_if(tended_, [this](const auto& each) {
    return !each.second->gone && state_of(*each.second) == InstanceState::starting;
  }));
}

bool PoolHome::id_is_free(std::uint32_t id) const {
  return id != 0 &&
         std::ranges::none_of(used_ids_, [id](const auto& range) { return id >= range.first && id <= range.second; });
}

void PoolHome::use_id(std::uint32_t id) {
  if (!used_ids_.empty() && used_ids_.back().second + 1 == id)
    used_ids_.back().second = id;
  else
    used_ids_.emplace_back(id, id);
  next_id_ = std::max(next_id_, id + 1);
}

std::uint32_t PoolHome::new_id() {
  const std::uint32_t id = next_id_;
  use_id(id);
  return id;
}

void PoolHome::ask_for_look() {
  const std::lock_guard lock(state_->mutex);
  state_->post_look();
}

std::string PoolHome::called(const Tended& tended) const {
  std::string name = state_->name + ": instance " + std::to_string(tended.id());
  if (tended.instance->pid != 0) name += " (pid " + std::to_string(tended.instance->pid) + ")";
  return name;
}

}  // namespace fivefold::process
