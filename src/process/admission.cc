#include "process/admission.h"

#include <algorithm>
#include <string>
#include <utility>

namespace fivefold::process {
namespace {

constexpr std::chrono::seconds kRetryAfter{5};  // when every place and every waiting place is taken

std::unexpected<Error> unavailable(std::string message) {
  return fail(Code::program_unavailable, std::move(message), std::to_string(kRetryAfter.count()));
}

}  // namespace

// One enter() that waits. `state` is guarded by the admission's mutex; the event belongs to the waiter's loop.
struct Admission::Waiter {
  enum class State { queued, admitted, gone };
  Waiter(net::Loop& l) : loop(l), decided(l) {}
  net::Loop& loop;
  State state = State::queued;
  net::Event decided;
};

Place& Place::operator=(Place&& other) noexcept {
  if (this != &other) {
    if (admission_) admission_->leave();
    admission_ = std::move(other.admission_);
  }
  return *this;
}

Place::~Place() {
  if (admission_) admission_->leave();
}

Admission::Admission(AdmissionLimits limits) : limits_(limits) {}
Admission::~Admission() = default;

std::size_t Admission::running() const {
  const std::lock_guard lock(mutex_);
  return running_;
}

std::size_t Admission::waiting() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

void Admission::leave() {
  const std::lock_guard lock(mutex_);
  if (queue_.empty()) {
    --running_;
    return;
  }
  // The place goes straight on, so nobody who comes now can overtake. Posted under the lock: a waiter that is let go of
  // takes the lock first, so its loop is still there.
  const std::shared_ptr<Waiter> next = std::move(queue_.front());
  queue_.pop_front();
  next->state = Waiter::State::admitted;
  next->loop.post([waiter = next] { waiter->decided.set(); });
}

net::Task<Result<Place>> Admission::enter(net::Loop& loop) {
  const std::shared_ptr<Admission> self = shared_from_this();
  std::shared_ptr<Waiter> waiter;
  {
    const std::lock_guard lock(mutex_);
    if (limits_.concurrency == 0 || running_ < limits_.concurrency) {
      ++running_;
      co_return Place(self);
    }
    if (queue_.size() < limits_.queue) {
      waiter = std::make_shared<Waiter>(loop);
      queue_.push_back(waiter);
    }
  }
  if (!waiter)
    co_return unavailable("all " + std::to_string(limits_.concurrency) + " places are taken and " +
                          std::to_string(limits_.queue) +
                          " requests wait for one already; raise the program's concurrency or queue");

  // Ends the waiting however the coroutine ends: out of the queue, or with the place that it was given and did not
  // take.
  struct StopWaiting {
    Admission& admission;
    Waiter& waiter;
    bool taken = false;
    ~StopWaiting() {
      if (taken) return;
      bool was_admitted = false;
      {
        const std::lock_guard lock(admission.mutex_);
        was_admitted = waiter.state == Waiter::State::admitted;
        if (waiter.state == Waiter::State::queued)
          std::erase_if(admission.queue_, [this](const auto& each) { return each.get() == &waiter; });
        waiter.state = Waiter::State::gone;
      }
      if (was_admitted) admission.leave();
    }
  };
  StopWaiting stop{*this, *waiter};
  net::Timer timeout(loop.timers(), [](void* context) { static_cast<Waiter*>(context)->decided.set(); }, waiter.get());
  timeout.set(loop.now() + limits_.queue_timeout);
  co_await waiter->decided.wait();
  {
    const std::lock_guard lock(mutex_);
    stop.taken = waiter->state == Waiter::State::admitted;
  }
  if (stop.taken) co_return Place(self);
  co_return unavailable("no place became free within " + std::to_string(limits_.queue_timeout.count()) +
                        " ms; the program is slower than its requests come, or its concurrency is too low");
}

}  // namespace fivefold::process
