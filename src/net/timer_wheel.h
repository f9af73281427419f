#pragma once
// The wheel behind Timer: 1,024 slots of 50 ms. A timer further away waits in the last slot and is linked again when
// that comes. Moving a deadline later only notes the new time; the slot's turn finds it and links it again.
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "net/timer.h"

namespace fivefold::net {

class TimerWheel {
 public:
  static constexpr std::chrono::milliseconds kTick{50};
  static constexpr std::size_t kSlots = 1024;

  explicit TimerWheel(boost::asio::io_context& context);
  void link(Timer& timer);
  void unlink(Timer& timer);

 private:
  static constexpr std::uint64_t kFiring = UINT64_MAX;  // slot_tick_ of a timer in the list that is being fired
  static std::uint64_t tick_after(TimePoint at);
  Timer*& head_of(Timer& timer);
  void wake_at(std::uint64_t tick);
  void turn();

  boost::asio::basic_waitable_timer<Clock, boost::asio::wait_traits<Clock>, boost::asio::io_context::executor_type>
      alarm_;
  std::array<Timer*, kSlots> slots_{};
  Timer* firing_ = nullptr;
  std::uint64_t turned_;  // every slot up to this tick has had its turn
  std::uint64_t alarm_tick_ = UINT64_MAX;
  std::size_t linked_ = 0;
};

}  // namespace fivefold::net
