#include "net/timer_wheel.h"

namespace fivefold::net {

TimerWheel::TimerWheel(boost::asio::io_context& context)
    : alarm_(context.get_executor()), turned_(tick_after(Clock::now()) - 1) {}

std::uint64_t TimerWheel::tick_after(TimePoint at) {
  const auto since = at.time_since_epoch();
  return static_cast<std::uint64_t>((since + kTick - Clock::duration(1)) / kTick);
}

Timer*& TimerWheel::head_of(Timer& timer) {
  return timer.slot_tick_ == kFiring ? firing_ : slots_[timer.slot_tick_ % kSlots];
}

void TimerWheel::link(Timer& timer) {
  const std::uint64_t tick = std::min(std::max(tick_after(timer.at_), turned_ + 1), turned_ + kSlots - 1);
  timer.slot_tick_ = tick;
  Timer*& head = slots_[tick % kSlots];
  timer.previous_ = nullptr;
  timer.next_ = head;
  if (head) head->previous_ = &timer;
  head = &timer;
  ++linked_;
  if (tick < alarm_tick_) wake_at(tick);
}

void TimerWheel::unlink(Timer& timer) {
  Timer*& head = head_of(timer);
  if (timer.previous_) timer.previous_->next_ = timer.next_;
  if (timer.next_) timer.next_->previous_ = timer.previous_;
  if (head == &timer) head = timer.next_;
  timer.previous_ = timer.next_ = nullptr;
  timer.slot_tick_ = 0;
  --linked_;
}

void TimerWheel::wake_at(std::uint64_t tick) {
  alarm_tick_ = tick;
  alarm_.expires_at(TimePoint(kTick * static_cast<std::int64_t>(tick)));
  alarm_.async_wait([this](const boost::system::error_code& error) {
    if (!error) turn();
  });
}

void TimerWheel::turn() {
  alarm_tick_ = 0;  // no alarm is set from link() while the slots have their turn
  const TimePoint now = Clock::now();
  const std::uint64_t current = tick_after(now + Clock::duration(1)) - 1;
  while (turned_ < current) {
    ++turned_;
    Timer*& slot = slots_[turned_ % kSlots];
    firing_ = std::exchange(slot, nullptr);
    for (Timer* timer = firing_; timer; timer = timer->next_) timer->slot_tick_ = kFiring;
    while (firing_) {
      Timer& timer = *firing_;
      unlink(timer);
      if (timer.at_ == kNever) continue;
      if (timer.at_ > now) {
        link(timer);
        continue;
      }
      timer.at_ = kNever;
      timer.callback_(timer.context_);
    }
  }
  alarm_tick_ = UINT64_MAX;
  if (linked_ == 0) return;
  for (std::uint64_t tick = turned_ + 1; tick < turned_ + kSlots; ++tick) {
    if (!slots_[tick % kSlots]) continue;
    wake_at(tick);
    return;
  }
}

void Timer::set(TimePoint at) {
  at_ = at;
  if (at == kNever) return;
  if (slot_tick_ != 0) {
    const auto slot_time = TimePoint(TimerWheel::kTick * static_cast<std::int64_t>(slot_tick_));
    if (at >= slot_time - TimerWheel::kTick) return;  // its slot comes first and links it again
    wheel_.unlink(*this);
  }
  wheel_.link(*this);
}

void Timer::unlink() {
  if (slot_tick_ != 0) wheel_.unlink(*this);
}

}  // namespace fivefold::net
