#pragma once
// wsgi.file_wrapper: a file as a body (PEP 3333, "Optional Platform-Specific File Handling").
#include "python_object.h"
#include "wsgi_exchange.h"

namespace fivefold::python {

class WsgiFile {
 public:
  // Makes the type; false with an exception set when that fails. Once, before the others.
  static bool prepare();
  // The type itself: what the environ has.
  static PyObject* type();
  // Whether `result` is one, and not of a class derived from it.
  static bool is(PyObject* result);

  // Sends a real file from its current offset by its descriptor, without a step of Python per block. False when `file`
  // has no descriptor that can be read this way (it is iterated then); there may be an exception only with true.
  static bool send(PyObject* file, WsgiExchange& exchange);
};

}  // namespace fivefold::python
