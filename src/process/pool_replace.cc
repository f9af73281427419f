// Which instances are replaced by new ones: when they have done enough, when they are sick, when all are to be new.
#include <algorithm>

#include "process/instance_memory.h"
#include "process/pool_home.h"
#include "process/pool_words.h"

namespace fivefold::process {

// ---- recycling ----

void PoolHome::recycle(net::TimePoint now) {
  const bool look_at_memory = settings_.max_memory != 0 && now >= next_memory_look_;
  if (look_at_memory) next_memory_look_ = now + Pool::kMemoryLook;
  if (settings_.max_memory != 0) wake(next_memory_look_);
  for (const auto& [id, each] : tended_) {
    Instance& instance = *each->instance;
    if (!instance.own || !serving(*each)) continue;
    std::string why;
    if (now >= each->expires)
      why = "it is " + in_words(now - instance.started) + " old";
    else
      wake(each->expires);
    if (look_at_memory && why.empty())
      if (const auto memory = resident_memory(instance.pid); memory && *memory > settings_.max_memory)
        why = "it uses " + memory_in_words(*memory) + " of memory";
    if (why.empty()) continue;
    const std::lock_guard lock(state_->mutex);
    if (instance.replace_reason.empty()) instance.replace_reason = std::move(why);
  }
}

// What has happened on request loops since the last look; and addresses that have rested.
void PoolHome::tell_news(net::TimePoint now) {
  for (const auto& [id, each] : tended_) {
    Instance& instance = *each->instance;
    std::string why;
    net::TimePoint until;
    bool news = false, back = false;
    {
      const std::lock_guard lock(state_->mutex);
      if (instance.state != InstanceState::ejected || each->gone) continue;
      news = std::exchange(instance.news, false);
      why = instance.reason;
      until = instance.rest_until;
      back = !instance.own && now >= until && settings_.health_interval == milliseconds::zero();
      if (back) {
        instance.state = InstanceState::ready;
        instance.reason.clear();
        // One more failure, and it rests again, for longer.
        instance.failures = settings_.eject_failures == 0 ? 0 : settings_.eject_failures - 1;
      }
    }
    if (news) {
      log_.warn("{} gets no more requests: {}; {}", called(*each), why,
                instance.own ? std::string("it is replaced")
                             : "tried again in " + in_words(std::max(until - now, net::Clock::duration(0))));
      if (instance.own)
        if (const std::string where = each->process->where_it_hangs(); !where.empty())
          log_.warn("{} is at:\n{}", called(*each), where);
    }
    if (back)
      log_.info("{} is tried again", called(*each));
    else if (!instance.own && settings_.health_interval == milliseconds::zero())
      wake(until);
  }
}

// Starts the replacements of those that are marked: sick ones as soon as possible, the others one at a time.
void PoolHome::replace(net::TimePoint now) {
  std::uint32_t usable = 0, in_flight = 0;
  for (const auto& [id, each] : tended_) {
    if (find(each->replaced_by))
      ++in_flight;
    else if (serving(*each))
      ++usable;
  }
  for (const auto& [id, each] : tended_) {
    if (each->replaced_by != 0 || !serving(*each) || (rolling_.active && outdated(*each))) continue;
    std::string why;
    bool sick = false, unused = false;
    {
      const std::lock_guard lock(state_->mutex);
      const Instance& instance = *each->instance;
      why = instance.replace_reason;
      sick = instance.state == InstanceState::ejected;
      unused = instance.active == 0 && state_->queue.empty();
    }
    if (why.empty()) continue;
    if (unused && usable > settings_.min_instances) {
      --usable;
      drain(*each, why, now);
      continue;
    }
    if ((!sick && in_flight > 0) || starting() >= starts_at_once() || held_back(now)) continue;
    ++in_flight;
    each->replaced_by = start("replaces instance " + std::to_string(id) + ": " + why, id).id();
  }
}

// ---- restarts ----

bool PoolHome::outdated(const Tended& tended) const {
  return tended.fingerprint != fingerprint_ || tended.generation < generation_;
}

void PoolHome::begin_rolling(std::string reason, Pool::Done done) {
  rolling_.active = true;
  rolling_.reason = std::move(reason);
  rolling_.in_flight = 0;
  rolling_.must_start = false;
  rolling_.replaced = 0;
  if (done) rolling_.dones.push_back(std::move(done));
  // Failures of before say nothing about what is started now.
  failures_ = 0;
  not_before_.reset();
  given_up_ = false;
  const std::lock_guard lock(state_->mutex);
  state_->given_up = false;
  state_->post_look();
}

// The next step of a restart: one instance at a time, the lowest id first.
void PoolHome::roll(net::TimePoint now) {
  if (!rolling_.active) return;
  for (const auto& [id, each] : tended_) {
    if (each->gone || !outdated(*each) || state_of(*each) != InstanceState::starting) continue;
    abort_start(*each, rolling_.reason);
    rolling_.must_start = true;
    if (rolling_.in_flight == id) rolling_.in_flight = 0;
  }
  if (rolling_.in_flight != 0) return;
  while (true) {
    Tended* old = nullptr;
    Tended* fresh_start = nullptr;
    std::uint32_t fresh = 0;
    for (const auto& [id, each] : tended_) {
      if (each->gone || each->replaced_by != 0) continue;
      const bool is_starting = state_of(*each) == InstanceState::starting;
      if (!is_starting && !serving(*each)) continue;
      if (outdated(*each)) {
        if (!old) old = each.get();
        continue;
      }
      ++fresh;
      if (is_starting) fresh_start = each.get();
    }
    if (old && fresh >= settings_.max_instances) {
      drain(*old, rolling_.reason, now);
      ++rolling_.replaced;
      continue;
    }
    if (old) {
      rolling_.must_start = false;
      Tended& next = start("replaces instance " + std::to_string(old->id()) + ": " + rolling_.reason, old->id());
      old->replaced_by = rolling_.in_flight = next.id();
      return;
    }
    // Nothing serves that could be replaced: the restart is over when the first one is ready.
    const bool nothing = fresh == 0 && rolling_.replaced == 0 && settings_.min_instances > 0;
    if (rolling_.replaced == 0 && (rolling_.must_start || nothing)) {
      rolling_.must_start = false;
      rolling_.in_flight = fresh_start ? fresh_start->id() : start(rolling_.reason, 0).id();
      return;
    }
    end_rolling({});
    return;
  }
}

void PoolHome::end_rolling(Result<void> result) {
  if (result)
    log_.info("{}: {} instance{} replaced: {}", state_->name, rolling_.replaced, rolling_.replaced == 1 ? "" : "s",
              rolling_.reason);
  else
    log_.error("{}: the instances are not all replaced ({}): {}", state_->name, rolling_.reason,
               result.error().message);
  for (auto& done : std::exchange(rolling_.dones, {})) loop_.post([done = std::move(done), result] { done(result); });
  rolling_.active = false;
  if (!rolling_.again) return;
  rolling_.again = false;
  rolling_.dones = std::exchange(rolling_.again_dones, {});
  if (closing_ || disowned_) {
    for (auto& done : std::exchange(rolling_.dones, {})) loop_.post([done = std::move(done), result] { done(result); });
    return;
  }
  ++generation_;
  begin_rolling(std::move(rolling_.again_reason), {});
}

void PoolHome::restart(std::string reason, Pool::Done done) {
  thread_ = std::this_thread::get_id();
  if (closing_ || disowned_ || !launcher_) {
    if (done)
      loop_.post([done = std::move(done), name = state_->name] {
        done(fail(Code::cancelled, name + " is not running, so it cannot be restarted"));
      });
    return;
  }
  if (rolling_.active) {
    rolling_.again = true;
    rolling_.again_reason = std::move(reason);
    if (done) rolling_.again_dones.push_back(std::move(done));
    return;
  }
  ++generation_;
  begin_rolling(std::move(reason), std::move(done));
}

// ---- configuration and what comes from the server before ----

void PoolHome::configure(PoolSettings settings, std::shared_ptr<Launcher> launcher, std::string fingerprint,
                         milliseconds expect_adopted) {
  thread_ = std::this_thread::get_id();
  const bool first = !launcher_;
  settings_ = settings;
  launcher_ = std::move(launcher);
  fingerprint_ = std::move(fingerprint);
  if (first) expecting_until_ = loop_.now() + expect_adopted;
  {
    const std::lock_guard lock(state_->mutex);
    state_->settings = settings;
  }
  if (closing_ || disowned_) return;
  failures_ = 0;
  not_before_.reset();
  given_up_ = false;
  const bool any_outdated = std::ranges::any_of(tended_, [this](const auto& each) { return outdated(*each.second); });
  if (any_outdated && !rolling_.active) begin_rolling("its configuration has changed", {});
  const std::lock_guard lock(state_->mutex);
  state_->given_up = false;
  state_->post_look();
}

void PoolHome::adopt(std::uint32_t id, Launched launched, std::string fingerprint, milliseconds age) {
  thread_ = std::this_thread::get_id();
  if (disowned_) {
    launched.process->disown();
    return;
  }
  if (closing_) return;  // ends with its process
  const net::TimePoint now = loop_.now();
  if (id_is_free(id))
    use_id(id);
  else
    id = new_id();
  Tended& tended = *(tended_[id] = std::make_unique<Tended>());
  tended.instance = std::make_shared<Instance>(id, now - age);
  tended.fingerprint = std::move(fingerprint);
  tended.generation = generation_;
  tended.launched = now - age;
  tended.adopted = true;
  tended.journey = std::make_shared<Journey>(now - age);
  tended.journey->step("adopted", now, "started by an earlier server");
  {
    const std::lock_guard lock(state_->mutex);
    state_->instances.push_back(tended.instance);
  }
  tended.outcome.emplace(std::move(launched));
  if (launcher_ && outdated(tended) && !rolling_.active) begin_rolling("its configuration has changed", {});
  ask_for_look();
}

// ---- health ----

void PoolHome::check_health(net::TimePoint) {
  if (settings_.health_interval == milliseconds::zero()) return;
  for (const auto& [id, each] : tended_) {
    if (each->probed || !each->process || !serving(*each)) continue;
    each->probed = true;
    each->probe_failures = 0;
    each->tasks.start(probe(*each));
  }
}

net::Task<void> PoolHome::probe(Tended& tended) {
  while (true) {
    milliseconds wait{0};
    {
      const std::lock_guard lock(state_->mutex);
      wait = state_->jittered(settings_.health_interval);
    }
    co_await net::sleep_until(loop_, loop_.now() + wait);
    if (settings_.health_interval == milliseconds::zero() || !serving(tended)) break;
    Result<void> result = co_await tended.process->probe();
    if (!serving(tended)) break;
    probed(tended, result);
  }
  tended.probed = false;
}

void PoolHome::probed(Tended& tended, const Result<void>& result) {
  const net::TimePoint now = loop_.now();
  bool back = false;
  {
    const std::lock_guard lock(state_->mutex);
    Instance& instance = *tended.instance;
    if (!result) {
      if (++tended.probe_failures < std::max<std::uint32_t>(settings_.health_failures, 1)) return;
      if (instance.state == InstanceState::ready)
        state_->eject(instance,
                      "its health check failed " + std::to_string(tended.probe_failures) +
                          (tended.probe_failures == 1 ? " time: " : " times: ") + result.error().message,
                      now);
      return;
    }
    tended.probe_failures = 0;
    if (instance.own || instance.state != InstanceState::ejected || now < instance.rest_until) return;
    instance.state = InstanceState::ready;
    instance.reason.clear();
    instance.failures = instance.ejections = 0;
    back = true;
    state_->post_look();
  }
  if (back) log_.info("{} is well again", called(tended));
}

}  // namespace fivefold::process
