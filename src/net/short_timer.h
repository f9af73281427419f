#pragma once
// A wait of a few milliseconds. Timer's ticks of 50 ms cost less; this is for where they are too coarse.
#include <chrono>
#include <memory>

#include "net/loop.h"

namespace fivefold::net {

// One deadline, at most about a millisecond late. The callback runs at the top of the loop and may set or destroy its
// own timer.
class ShortTimer {
 public:
  using Callback = void (*)(void* context);
  ShortTimer(Loop& loop, Callback callback, void* context);
  ~ShortTimer();
  ShortTimer(const ShortTimer&) = delete;
  ShortTimer& operator=(const ShortTimer&) = delete;

  void set(std::chrono::microseconds after);
  void cancel();

 private:
  struct Core;
  std::shared_ptr<Core> core_;
};

}  // namespace fivefold::net
