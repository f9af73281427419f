#pragma once
// wsgi.input: the request's body as a file that ends where the body does (PEP 3333, "Input and Error Streams").
#include "channel/request.h"
#include "python_object.h"

namespace fivefold::python {

// One object reads one body; it asks the server for more only when the application does.
class WsgiInput {
 public:
  // Makes the type; false with an exception set when that fails. Once, before the others.
  static bool prepare();

  // A new input; `request` is nullptr for a request without a body. Null with an exception set when there is no memory.
  static Ref make(worker::Request* request);

  // The request is over: what reads from now on gets a ValueError.
  static void finish(PyObject* input);
};

}  // namespace fivefold::python
