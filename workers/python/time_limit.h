#pragma once
// The soft time limit of a request: an exception raised in the code that runs. It ends loops, sleep(), waits for locks
// and sockets; C code that never looks for signals goes on until the server kills the worker.
#include <cstdint>

#include "python_object.h"

namespace fivefold::python {

// The timer belongs to the main thread, where the application runs, unless it has several threads.
class TimeLimit {
 public:
  // Code that has swallowed the exception gets another so much later, for as long as the request lasts.
  static constexpr std::uint32_t kRepeat = 1000;  // milliseconds

  // In the zygote: the exception's class and the handler. False with a Python exception set.
  static bool prepare();
  // In a worker: the timer, which a fork does not inherit. False when there is none to be had.
  static bool start();

  // A request begins that may take `milliseconds`; 0: as long as it likes.
  static void begin(std::uint32_t milliseconds);
  // The request is over: nothing is raised until the next begins.
  static void end();

  // In the thread of this identity, whatever runs there, as soon as it runs Python's code: what waits in C does not
  // hear of it before it returns. These three need the GIL.
  static void raise_in(unsigned long thread);
  // Raises here what raise_in() has ordered. False: nothing.
  static bool raise_pending();
  // Forgets it.
  static void drop_pending();

  // Whether an exception of this type is the time limit's.
  static bool is_exceeded(PyObject* type);
};

}  // namespace fivefold::python
