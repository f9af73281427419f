#pragma once
// The time limit of a request, on the wall clock. A timer that has been set stays set: a request that ends in time
// costs no system call.
#include <cstdint>

namespace fivefold::worker {

class Deadline {
 public:
  // `expired` is called in a signal handler, in the main thread, when a deadline has come; system calls that wait
  // return EINTR then. It is called again every `repeat_ms` until clear(), for what did not notice (0: once). One
  // object in a process, made after the fork; false when there is no timer to be had.
  bool start(void (*expired)(), std::uint32_t repeat_ms = 0);

  // The deadline of the request that begins now; 0 is none. It replaces the one before.
  void set(std::uint32_t after_ms);
  void clear() { set(0); }
};

}  // namespace fivefold::worker
