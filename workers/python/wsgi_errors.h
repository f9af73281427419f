#pragma once
// wsgi.errors: text of the application for the program's log (PEP 3333, "Input and Error Streams").
#include "channel/request.h"
#include "python_object.h"

namespace fivefold::python {

// One object for all requests of a worker. Whole lines go to the log of the request that is under way; what comes
// between requests goes to standard error, which is the program's log too.
class WsgiErrors {
 public:
  // Makes the type; false with an exception set when that fails. Once, before the others.
  static bool prepare();
  static Ref make();
  // Lines go to the log of `request` from now on; nullptr: to standard error. What is left of a line goes out first.
  static void attach(PyObject* errors, worker::Request* request);
};

}  // namespace fivefold::python
