#pragma once
// The coroutines of an ASGI request that are not Python code: what receive() and send() return, and what a task runs.
#include "python_object.h"

namespace fivefold::python {

// Makes the types; false with an exception set when that fails. Once, before the others.
bool prepare_coroutines();

// What `receive()` returns: awaiting it gives the exchange's next event, at once when there is one.
Ref receive_coroutine(PyObject* exchange);
// What `send(event)` returns: awaiting it takes the event, and lasts until the server has room.
Ref send_coroutine(PyObject* exchange, PyObject* event);
// Calls `application(scope, receive, send)` and is over when that is; the exchange is told how. Raises nothing.
Ref run_coroutine(PyObject* exchange, PyObject* application, PyObject* scope);

}  // namespace fivefold::python
