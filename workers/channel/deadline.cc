#include "channel/deadline.h"

#include <unistd.h>

#include <csignal>
#include <ctime>

namespace fivefold::worker {

namespace {

// One signal handler, one timer.
timer_t timer;
bool have_timer = false;
bool armed = false;  // the timer was set and not stopped; it may have fired since
void (*on_expiry)() = nullptr;
std::uint32_t repeat = 0;
volatile sig_atomic_t wanted = 0;
volatile sig_atomic_t fired = 0;

void set_alarm(std::uint32_t after_ms) {
  const auto time = [](std::uint32_t ms) {
    return timespec{static_cast<time_t>(ms / 1000), static_cast<long>(ms % 1000) * 1'000'000};
  };
  const itimerspec when{time(after_ms == 0 ? 0 : repeat), time(after_ms)};
  timer_settime(timer, 0, &when, nullptr);
  armed = after_ms != 0;
}

void on_signal(int) {
  fired = 1;
  if (wanted != 0) on_expiry();
}

}  // namespace

bool Deadline::start(void (*expired)(), std::uint32_t repeat_ms) {
  on_expiry = expired;
  repeat = repeat_ms;
  wanted = 0;
  armed = false;
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
  if (!have_timer || (after_ms == 0 && !armed)) return;
  wanted = after_ms != 0;
  fired = 0;
  set_alarm(after_ms);
}

void Deadline::clear() {
  wanted = 0;
  if (fired != 0 && repeat > 0) set_alarm(0);
  fired = 0;
}

}  // namespace fivefold::worker
