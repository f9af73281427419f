#pragma once
// Deadlines of one loop, in a timing wheel: setting, moving and dropping one costs a few nanoseconds, because most
// never fire.
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>

namespace fivefold::net {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
inline constexpr TimePoint kNever = TimePoint::max();

class TimerWheel;

// One deadline. Belongs to the wheel's loop; the callback runs at the top of the loop, at most one tick (50 ms) late,
// never early. The callback may set or destroy its own timer.
class Timer {
 public:
  using Callback = void (*)(void* context);
  Timer(TimerWheel& wheel, Callback callback, void* context) : wheel_(wheel), callback_(callback), context_(context) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { unlink(); }

  void set(TimePoint at);
  void cancel() { at_ = kNever; }
  bool armed() const { return at_ != kNever; }
  TimePoint at() const { return at_; }

 private:
  friend class TimerWheel;
  void unlink();
  TimerWheel& wheel_;
  Callback callback_;
  void* context_;
  TimePoint at_ = kNever;
  Timer* previous_ = nullptr;
  Timer* next_ = nullptr;
  std::uint64_t slot_tick_ = 0;  // the tick of the slot it is linked in
};

}  // namespace fivefold::net
