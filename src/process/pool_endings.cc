// How instances end: crashes, draining, TERM and KILL, the server's own end.
#include <csignal>

#include "process/pool_home.h"
#include "process/pool_words.h"

namespace fivefold::process {

net::Task<void> PoolHome::watch(Tended& tended) {
  net::Event& exited = tended.process->child()->exited();
  co_await exited.wait();
  {
    const std::lock_guard lock(state_->mutex);
    Instance& instance = *tended.instance;
    tended.crashed =
        instance.state == InstanceState::ready || instance.state == InstanceState::ejected || instance.dying;
    if (tended.crashed) {
      instance.state = InstanceState::stopping;  // nobody is sent there any more
      instance.reason = "has ended by itself";
    }
  }
  // Its last words may still be in a pipe: a few turns, in which whoever reads it can.
  for (int turn = 0; turn < 3; ++turn) co_await net::others_first(loop_);
  tended.exited = true;
  ask_for_look();
}

void PoolHome::signal(std::uint32_t id, int number) {
  Tended* tended = find(id);
  if (!tended || tended->exited || tended->gone || !tended->process) return;
  if (Child* child = tended->process->child()) child->signal(number);
}

void PoolHome::take_exits(net::TimePoint now) {
  for (const auto& [id, each] : tended_) {
    if (!each->exited || each->gone) continue;
    if (each->crashed) {
      crashed(*each, now);
    } else {
      std::uint64_t requests = 0;
      {
        const std::lock_guard lock(state_->mutex);
        requests = each->instance->requests;
      }
      log_.info("{} has ended after {}: {}", called(*each), requests_in_words(requests),
                in_words(*each->process->child()->exit_status()));
    }
    each->gone = true;
  }
}

void PoolHome::crashed(Tended& tended, net::TimePoint now) {
  const std::string how = in_words(*tended.process->child()->exit_status());
  const auto life = now - tended.instance->started;
  std::uint32_t active = 0;
  bool had_requests = false;
  {
    const std::lock_guard lock(state_->mutex);
    ++state_->crashes;
    active = tended.instance->active;
    had_requests = tended.instance->requests > 0;
  }
  std::string what = how + " " + in_words(life) + " after its start";
  if (active > 0) what += ", with " + requests_in_words(active) + " on it";
  const auto& status = *tended.process->child()->exit_status();
  const bool never_started = settings_.start_failure_status && status.code == settings_.start_failure_status;
  if (never_started) tended.process->tell_end(*tended.journey);
  if (!never_started && (life >= settings_.short_life || (settings_.requests_crash && (active > 0 || had_requests)))) {
    if (tended.launched > last_failure_) failures_ = 0;
    log_.error("{} ended by itself: {}", called(tended), what);
    return;
  }
  if (tended.journey->failure().empty()) tended.journey->failed(what);
  const std::string then = closing_ ? "the server is shutting down" : count_failure(tended, now);
  log_.error("{} ended by itself: {}; {}", called(tended), what, then);
  if (const std::string story = tended.journey->as_text(); !story.empty())
    log_.error("{}: the life of instance {}:\n{}", state_->name, tended.id(), story);
  keep_failure(tended, what);
}

void PoolHome::drain(Tended& tended, const std::string& why, net::TimePoint now) {
  {
    const std::lock_guard lock(state_->mutex);
    tended.instance->state = InstanceState::draining;
    tended.instance->reason = why;
  }
  tended.drain_until = std::min(now + settings_.drain, close_at_);
  log_.info("{} draining: {}", called(tended), why);
}

void PoolHome::advance_endings(net::TimePoint now) {
  for (const auto& [id, each] : tended_) {
    if (each->gone) continue;
    InstanceState state{};
    std::uint32_t active = 0;
    std::string kill_reason;
    {
      const std::lock_guard lock(state_->mutex);
      state = each->instance->state;
      active = each->instance->active;
      kill_reason.swap(each->instance->kill_reason);
    }
    if (!kill_reason.empty() && !each->killed && !each->exited && each->process && each->process->child()) {
      log_.warn("{} killed: {}", called(*each), kill_reason);
      each->process->child()->signal(SIGKILL);
      each->killed = true;
      each->next_step = now + kKillPatience;
      wake(each->next_step);
    } else if (state == InstanceState::draining) {
      if (active == 0)
        stop(*each, {}, now);
      else if (now >= each->drain_until)
        stop(*each, requests_in_words(active) + " on it at its drain deadline", now);
      else
        wake(each->drain_until);
    } else if (state == InstanceState::stopping && !each->crashed && !each->exited) {
      if (each->next_step == net::kNever) each->next_step = now + settings_.stop_grace;  // it ends by itself
      if (now < each->next_step) {
        wake(each->next_step);
      } else if (!each->killed) {
        log_.warn("{} killed: it did not end within {} of SIGTERM", called(*each), in_words(settings_.stop_grace));
        each->process->child()->signal(SIGKILL);
        each->killed = true;
        each->next_step = now + kKillPatience;
        wake(each->next_step);
      } else {
        log_.error("{} did not end within {} of SIGKILL: it hangs in the kernel. It is left alone", called(*each),
                   in_words(kKillPatience));
        each->gone = true;
      }
    }
  }
}

void PoolHome::stop(Tended& tended, const std::string& why, net::TimePoint now) {
  if (!why.empty()) log_.warn("{} is told to end: {}", called(tended), why);
  Child* child = tended.process->child();
  if (!child) {
    log_.info("{} is no longer used", called(tended));
    tended.gone = true;
    return;
  }
  {
    const std::lock_guard lock(state_->mutex);
    tended.instance->state = InstanceState::stopping;
  }
  tended.next_step = now + settings_.stop_grace;
  wake(tended.next_step);
  if (!child->exit_status()) child->signal(SIGTERM);
}

void PoolHome::abort_start(Tended& tended, const std::string& why) {
  tended.tasks.clear();
  tended.gone = true;
  if (Tended* old = find(tended.replaces)) old->replaced_by = 0;
  log_.info("{}: instance {} is no longer started: {}", state_->name, tended.id(), why);
}

// The server's end. Requests that wait are still answered, as long as an instance serves and the deadline has not come.
void PoolHome::close(net::TimePoint now) {
  for (const auto& [id, each] : tended_)
    if (!each->gone && state_of(*each) == InstanceState::starting) abort_start(*each, "the server is shutting down");
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->queue.empty() && state_->any_serving() && now < close_at_) {
      wake(close_at_);
      return;
    }
    state_->refuse_waiters({Code::program_unavailable, state_->name + " is shutting down", "1"});
  }
  for (const auto& [id, each] : tended_) {
    if (serving(*each)) drain(*each, "the server is shutting down", now);
    each->drain_until = std::min(each->drain_until, close_at_);
  }
}

void PoolHome::remove_gone() {
  {
    const std::lock_guard lock(state_->mutex);
    for (const auto& [id, each] : tended_)
      if (each->gone && !each->handed_over) std::erase(state_->instances, each->instance);
  }
  std::erase_if(tended_, [](const auto& each) { return each.second->gone; });
}

void PoolHome::shutdown(net::TimePoint deadline, std::function<void()> done) {
  thread_ = std::this_thread::get_id();
  closing_ = true;
  close_at_ = deadline;
  closed_ = std::move(done);
  if (rolling_.active) end_rolling(fail(Code::cancelled, state_->name + " is shutting down"));
  const std::lock_guard lock(state_->mutex);
  state_->closed = true;
  state_->post_look();
}

void PoolHome::disown_all() {
  thread_ = std::this_thread::get_id();
  disowned_ = true;
  if (rolling_.active) end_rolling(fail(Code::cancelled, state_->name + " goes on under the next server"));
  std::size_t kept = 0;
  for (const auto& [id, each] : tended_) {
    each->tasks.clear();
    each->gone = true;
    if (each->adopted && each->outcome) {  // taken over a moment ago
      (*each->outcome)->process->disown();
      ++kept;
      continue;
    }
    bool goes_on = false;
    {
      const std::lock_guard lock(state_->mutex);
      Instance& instance = *each->instance;
      goes_on = instance.state == InstanceState::ready ||
                ((instance.state == InstanceState::ejected || instance.state == InstanceState::draining) &&
                 instance.active > 0);
      // A client of this server may ask once more on its connection before that ends: the instance still answers.
      each->handed_over = instance.state == InstanceState::ready && each->process;
      if (!each->handed_over) instance.state = InstanceState::stopping;
    }
    if (!goes_on || !each->process) continue;
    each->process->disown();
    ++kept;
  }
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->any_serving()) {
      state_->closed = true;
      state_->refuse_waiters({Code::program_unavailable, "the server is being replaced", "1"});
    }
  }
  log_.info("{}: {} instance{} for the next server", state_->name, kept, kept == 1 ? "" : "s");
  remove_gone();
  timer_.cancel();
}

}  // namespace fivefold::process
