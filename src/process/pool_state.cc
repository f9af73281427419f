#include "process/pool_state.h"

#include <algorithm>
#include <utility>

#include "process/pool_words.h"

namespace fivefold::process {

const std::shared_ptr<Instance>* PoolState::choose(const LeaseWish& wish) {
  const std::uint32_t cap = settings.concurrency;
  const std::shared_ptr<Instance>* best = nullptr;
  const std::shared_ptr<Instance>* wished = nullptr;
  const std::shared_ptr<Instance>* avoided = nullptr;
  // The least busy; of equals the lowest id, or the one used last, so that the others can idle out. Where all rest, the
  // one whose failure is the longest ago: the most likely to be well again, and a request that fails there sends the
  // next one elsewhere.
  const auto better = [recent = settings.most_recent](const Instance& one, const Instance& other) {
    if (one.state == InstanceState::ejected) return one.failed_at < other.failed_at;
    if (recent && one.active == other.active) return one.idle_since > other.idle_since;
    return one.active < other.active;
  };
  const auto among = [&](InstanceState state, std::size_t& active) {
    bool any = false;
    for (const auto& each : instances) {
      if (each->state != state) continue;
      any = true;
      active += each->active;
      if (cap != 0 && each->active >= cap) continue;
      if (each->id == wish.not_this) {
        if (each->own && state == InstanceState::ejected && !given_up) continue;  // its successor is on its way
        if (!avoided) avoided = &each;
      } else if (each->id == wish.sticky) {
        wished = &each;
      } else if (!each->replace_reason.empty()) {
        avoided = &each;  // it has served enough
      } else if (!best || better(*each, **best)) {
        best = &each;
      }
    }
    return any;
  };
  std::size_t active = 0;
  if (!among(InstanceState::ready, active)) {
    // A resting one may well work again, and there is nothing better to come.
    const bool starting =
        std::ranges::any_of(instances, [](const auto& each) { return each->state == InstanceState::starting; });
    std::size_t ignored = 0;
    if (!starting) among(InstanceState::ejected, ignored);
  }
  if (wished) best = wished;
  if (!best) best = avoided;
  if (best && active + 1 > look_above_active) {
    look_above_active = kNoLook;  // once; the look sets it anew
    post_look();
  }
  return best;
}

void PoolState::attach(Lease& lease, const std::shared_ptr<Instance>& instance) {
  lease.instance_ = instance;
  lease.next_ = instance->leases;
  if (lease.next_) lease.next_->previous_ = &lease;
  instance->leases = &lease;
  ++instance->active;
}

void PoolState::count_request(Lease& lease, net::TimePoint now) {
  Instance& instance = *lease.instance_;
  ++requests;
  ++instance.requests;
  instance.ended_before_at = std::exchange(instance.ended_at, now);
  instance.ended_id = lease.wish_.request_id;
  if (!lease.failed_) {
    instance.failures = instance.ejections = 0;
    if (instance.state == InstanceState::ready) last_failure = nullptr;
  }
  if (instance.request_limit != 0 && instance.requests >= instance.request_limit && instance.replace_reason.empty() &&
      instance.state == InstanceState::ready) {
    instance.replace_reason = "it has answered " + requests_in_words(instance.requests);
    post_look();
  }
}

void PoolState::detach(Lease& lease, net::TimePoint now) {
  Instance& instance = *lease.instance_;
  if (lease.previous_)
    lease.previous_->next_ = lease.next_;
  else
    instance.leases = lease.next_;
  if (lease.next_) lease.next_->previous_ = lease.previous_;
  count_request(lease, now);
  if (--instance.active == 0) {
    instance.idle_since = now;
    if (instance.state == InstanceState::draining) post_look();
  }
  if (!queue.empty()) {
    serve_waiters();
    if (closed && queue.empty()) post_look();
  }
}

std::string PoolState::the_request(const Instance& instance, net::TimePoint now) {
  const auto lately = [now](net::TimePoint when) { return when + kLineOnItsWay > now; };
  const bool ended_lately = lately(instance.ended_at);
  if (instance.active == 1 && !ended_lately) return std::string(instance.leases->wish_.request_id);
  if (instance.active == 0 && ended_lately && !lately(instance.ended_before_at)) return instance.ended_id;
  return {};
}

void PoolState::serve_waiters() {
  while (!queue.empty()) {
    const auto* instance = choose(queue.front()->lease->wish_);
    if (!instance) return;
    // Posted with the mutex held: a waiter that is let go of takes it first, so its loop is still there.
    std::shared_ptr<PoolWaiter> next = std::move(queue.front());
    queue.pop_front();
    attach(*next->lease, *instance);
    next->stage = PoolWaiter::Stage::given;
    net::Loop& loop = next->loop;
    loop.post([waiter = std::move(next)] { waiter->decided.set(); });
  }
}

void PoolState::refuse_waiters(const Error& error) {
  while (!queue.empty()) {
    std::shared_ptr<PoolWaiter> next = std::move(queue.front());
    queue.pop_front();
    next->stage = PoolWaiter::Stage::refused;
    next->refusal = error;
    net::Loop& loop = next->loop;
    loop.post([waiter = std::move(next)] { waiter->decided.set(); });
  }
}

void PoolState::count_failure(Instance& instance, net::TimePoint now) {
  ++instance.failures;
  instance.failed_at = now;
  if (settings.eject_failures == 0 || instance.failures < settings.eject_failures ||
      instance.state != InstanceState::ready)
    return;
  eject(instance, requests_in_words(instance.failures) + " in a row failed", now);
}

void PoolState::eject(Instance& instance, std::string reason, net::TimePoint now) {
  instance.state = InstanceState::ejected;
  instance.failed_at = now;
  instance.rest_until = now + backoff(++instance.ejections);
  if (instance.own) instance.replace_reason = reason;
  instance.reason = std::move(reason);
  instance.news = true;
  post_look();
}

bool PoolState::any_serving() const {
  return std::ranges::any_of(instances, [](const auto& each) {
    return each->state == InstanceState::ready || each->state == InstanceState::ejected;
  });
}

milliseconds PoolState::jittered(milliseconds time) {
  std::uniform_real_distribution<double> factor(0.75, 1.25);
  return milliseconds(static_cast<std::int64_t>(static_cast<double>(time.count()) * factor(random)));
}

milliseconds PoolState::backoff(std::uint32_t failures) {
  milliseconds time = settings.first_backoff;
  for (std::uint32_t i = 1; i < failures && time < settings.longest_backoff; ++i) time *= 2;
  return std::min(jittered(time), settings.longest_backoff);
}

Error PoolState::why_given_up() const {
  return {Code::program_failed, name + " cannot be started: " + last_failure_text};
}

Pool::Picture PoolState::picture(net::TimePoint now) const {
  const auto since = [now](net::TimePoint then) { return std::chrono::duration_cast<milliseconds>(now - then); };
  Pool::Picture picture;
  for (const auto& each : instances) {
    Pool::Listed listed{.id = each->id,
                        .pid = each->pid,
                        .state = each->state,
                        .reason = each->reason,
                        .age = since(each->started),
                        .requests = each->requests};
    for (const Lease* lease = each->leases; lease; lease = lease->next_)
      listed.active.push_back(
          {std::string(lease->wish_.request_id), std::string(lease->wish_.what), since(lease->since_)});
    picture.instances.push_back(std::move(listed));
  }
  for (const Failed& each : failed) {
    picture.instances.push_back(each.listed);
    picture.instances.back().age = since(each.started);
  }
  picture.waiting = queue.size();
  picture.requests = requests;
  picture.starts = starts;
  picture.failed_starts = failed_starts;
  picture.crashes = crashes;
  picture.queue_full = queue_full;
  picture.queue_timeouts = queue_timeouts;
  picture.last_failure = last_failure_text;
  picture.last_failure_at = last_failure_at;
  return picture;
}

}  // namespace fivefold::process
