#include <csignal>

#include "channel/deadline.h"
#include "time_limit.h"

namespace fivefold::perl {

namespace {

worker::Deadline deadline;
std::uint32_t limit = 0;
volatile int times = 0;
volatile bool stopping = false;
int number = 0;

// Perl runs the handler of a signal that is pending before its next operator; this raises one without a signal.
void raise() {
  PL_psig_pend[number]++;
  PL_sig_pending = 1;
}

void expired() {
  times = times + 1;
  raise();
}

XS(stop_script) {
  dXSARGS;
  PERL_UNUSED_VAR(items);
  PERL_UNUSED_VAR(ax);
  PERL_UNUSED_VAR(cv);
  if (stopping || times > 1) {
    stopping = false;
    my_exit(255);
  }
  if (times == 1) Perl_croak(aTHX_ "The time limit of this request, %g s, has passed", limit / 1000.0);
  XSRETURN_EMPTY;
}

}  // namespace

void TimeLimit::start() {
  number = SIGRTMIN + 4;
  (void)get_hv("SIG", GV_ADD);  // makes the tables of signals
  CV* handler = newXS("Fivefold::stop_script", stop_script, __FILE__);
  PL_psig_ptr[number] = newRV_inc(reinterpret_cast<SV*>(handler));
  if (!deadline.start(&expired, kPatienceMs)) std::perror("timer_create for the time limit of requests");
}

void TimeLimit::set(std::uint32_t limit_ms) {
  times = 0;
  stopping = false;
  limit = limit_ms;
  if (limit_ms > 0) deadline.set(limit_ms);
}

void TimeLimit::clear() {
  if (limit > 0) deadline.clear();
}

bool TimeLimit::passed() { return times > 0; }

void TimeLimit::stop() {
  stopping = true;
  raise();
}

void TimeLimit::forget() {
  PL_psig_pend[number] = 0;
  stopping = false;
}

}  // namespace fivefold::perl
