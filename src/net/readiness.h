#pragma once
// Waiting for a descriptor outside a Stream: while it connects, while TLS shakes hands.
#include <coroutine>
#include <memory>
#include <utility>

#include "net/descriptor.h"
#include "net/loop.h"

namespace fivefold::net::detail {

// co_await Readiness(...): true when the descriptor is ready (or has failed: the next call on it says how), false at
// the deadline. May be destroyed while it waits; the descriptor may be destroyed with it, in either order.
class [[nodiscard]] Readiness {
 public:
  Readiness(Loop& loop, Descriptor::Asio& descriptor, Descriptor::Asio::wait_type type, TimePoint deadline)
      : descriptor_(descriptor),
        type_(type),
        deadline_(deadline),
        waiter_(std::make_shared<Waiter>()),
        timer_(loop.timers(), &Readiness::timer_fired, this) {}
  Readiness(const Readiness&) = delete;
  ~Readiness() { waiter_->awaiting = nullptr; }
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> awaiting) {
    waiter_->awaiting = awaiting;
    if (deadline_ != kNever) timer_.set(deadline_);
    descriptor_.async_wait(type_, [waiter = waiter_](const boost::system::error_code&) { waiter->resume(true); });
  }
  bool await_resume() const { return waiter_->ready; }

 private:
  // Kept by the operation under way, which may end after its awaiter.
  struct Waiter {
    std::coroutine_handle<> awaiting;
    bool ready = false;
    void resume(bool is_ready) {
      if (!awaiting) return;
      ready = is_ready;
      std::exchange(awaiting, nullptr).resume();
    }
  };
  static void timer_fired(void* self) {
    const auto waiter = static_cast<Readiness*>(self)->waiter_;
    waiter->resume(false);
  }
  Descriptor::Asio& descriptor_;
  Descriptor::Asio::wait_type type_;
  TimePoint deadline_;
  std::shared_ptr<Waiter> waiter_;
  Timer timer_;
};

}  // namespace fivefold::net::detail
