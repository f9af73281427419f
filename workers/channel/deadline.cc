#include "channel/deadline.h"

#include <unistd.h>

#include <csignal>
#include <ctime>

namespace fivefold::worker {

namespace {

constexpr std::uint64_t kNever = ~std::uint64_t{0};
constexpr std::uint64_t kMillisecond = 1'000'000;

// One signal handler, one timer. The handler may run between any two of these writes, so the deadline is written last.
timer_t timer;
bool have_timer = false;
void (*on_expiry)() = nullptr;
std::uint64_t repeat = 0;
volatile std::uint64_t deadline = kNever;  // nanoseconds of the monotonic clock
volatile std::uint64_t alarm_at = kNever;  // when the timer will fire

std::uint64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
}

void set_alarm(std::uint64_t at) {
  itimerspec when{};
  when.it_value.tv_sec = static_cast<time_t>(at / 1'000'000'000);
  when.it_value.tv_nsec = static_cast<long>(at % 1'000'000'000);
  alarm_at = at;
  timer_settime(timer, TIMER_ABSTIME, &when, nullptr);
}

void on_signal(int) {
  alarm_at = kNever;
  if (deadline == kNever) return;
  const std::uint64_t time = now();
  if (time < deadline) {
    set_alarm(deadline);
    return;
  }
  deadline = repeat > 0 ? time + repeat : kNever;
  if (repeat > 0) set_alarm(deadline);
  on_expiry();
}

}  // namespace

bool Deadline::start(void (*expired)(), std::uint32_t repeat_ms) {
  on_expiry = expired;
  repeat = repeat_ms * kMillisecond;
  deadline = kNever;
  alarm_at = kNever;
  const int number = SIGRTMIN + 4;
  struct sigaction action{};
  action.sa_handler = &on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(number, &action, nullptr);
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = number;
  event._sigev_un._tid = gettid();  // glibc has a name for it from 2.39 on
  have_timer = timer_create(CLOCK_MONOTONIC, &event, &timer) == 0;
  return have_timer;
}

void Deadline::set(std::uint32_t after_ms) {
  if (!have_timer) return;
  if (after_ms == 0) {
    deadline = kNever;
    return;
  }
  const std::uint64_t at = now() + after_ms * kMillisecond;
  deadline = at;
  if (alarm_at > at) set_alarm(at);
}

}  // namespace fivefold::worker
