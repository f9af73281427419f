#pragma once
// Somebody waits for something to change, up to a deadline.
#include <coroutine>
#include <memory>
#include <optional>
#include <utility>

#include "net/loop.h"

namespace fivefold::upstream {

// One waiter on one loop. set() resumes it from the top of the loop, never inside the caller; set while nobody waits,
// the next wait() returns at once. Either side may be destroyed at any time.
class Wakeup {
 public:
  explicit Wakeup(net::Loop& loop) : loop_(loop), shared_(std::make_shared<Shared>()) {}
  ~Wakeup() { shared_->waiter = nullptr; }
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  void set() {
    if (std::exchange(shared_->set, true) || !shared_->waiter) return;
    loop_.soon(
        [](void* context) {
          auto& shared = *static_cast<Shared*>(context);
          if (shared.waiter) std::exchange(shared.waiter, nullptr).resume();
        },
        shared_);
  }

  bool is_set() const { return shared_->set; }

  // co_await wakeup.wait(at): true when set (which is taken back), false at `at`.
  class [[nodiscard]] Wait {
   public:
    Wait(Wakeup& wakeup, net::TimePoint at)
        : wakeup_(wakeup), at_(at), timer_(wakeup.loop_.timers(), &Wait::fire, this) {}
    Wait(const Wait&) = delete;
    ~Wait() { wakeup_.shared_->waiter = nullptr; }
    bool await_ready() const { return wakeup_.shared_->set; }
    void await_suspend(std::coroutine_handle<> awaiting) {
      wakeup_.shared_->waiter = awaiting;
      if (at_ != net::kNever) timer_.set(at_);
    }
    bool await_resume() { return std::exchange(wakeup_.shared_->set, false); }

   private:
    static void fire(void* self) {
      const auto shared = static_cast<Wait*>(self)->wakeup_.shared_;
      if (shared->waiter) std::exchange(shared->waiter, nullptr).resume();
    }
    Wakeup& wakeup_;
    net::TimePoint at_;
    net::Timer timer_;
  };
  Wait wait(net::TimePoint at = net::kNever) { return Wait(*this, at); }

 private:
  struct Shared {
    bool set = false;
    std::coroutine_handle<> waiter;
  };
  net::Loop& loop_;
  std::shared_ptr<Shared> shared_;
};

// A wakeup that costs nothing until somebody waits. For waiters that look at what they wait for right before they do:
// what was set before the first wait is forgotten.
class LazyWakeup {
 public:
  explicit LazyWakeup(net::Loop& loop) : loop_(loop) {}
  void set() {
    if (wakeup_) wakeup_->set();
  }
  Wakeup::Wait wait(net::TimePoint at = net::kNever) {
    if (!wakeup_) wakeup_.emplace(loop_);
    return wakeup_->wait(at);
  }

 private:
  net::Loop& loop_;
  std::optional<Wakeup> wakeup_;
};

}  // namespace fivefold::upstream
