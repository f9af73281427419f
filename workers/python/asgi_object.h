#pragma once
// The Python object that an ASGI exchange lives in: what an application knows of it are its methods, receive and send.
#include "asgi_exchange.h"
#include "asgi_websocket.h"

namespace fivefold::python {

// Makes the types; false with an exception set when that fails. Once, before the others.
bool prepare_asgi_objects();

// A new exchange in an object of its own: of a request, or of a WebSocket. Null with an exception set.
Ref make_http_object();
Ref make_websocket_object();

}  // namespace fivefold::python
