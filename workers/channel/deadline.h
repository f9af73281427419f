#pragma once
// The time limit of a request, on the wall clock: one system call per request.
#include <cstdint>

namespace fivefold::worker {

class Deadline {
 public:
  // `expired` is called in a signal handler, in the thread that calls start(), when a deadline has come; system calls
  // that wait return EINTR then. It is called again every `repeat_ms` until clear() or set(), for what did not notice
  // (0: once). One object in a process, made after the fork; false when there is no timer to be had.
  bool start(void (*expired)(), std::uint32_t repeat_ms = 0);

  // The deadline of the request that begins now, in place of the one before; 0 is none. No signal of an earlier
  // deadline comes any more: it would cut a script's sleep() short.
  void set(std::uint32_t after_ms);
  // The request is over: `expired` is not called. The signal may still come.
  void clear();
};

}  // namespace fivefold::worker
