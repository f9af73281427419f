#pragma once
// The opening of a WebSocket (RFC 6455 section 4.2): what the client's headers say, and what is answered.
#include <string>
#include <string_view>

#include "python_object.h"

namespace fivefold::python {

// The header fields of a handshake; views of the request's variables.
struct WebSocketOffer {
  std::string_view key, version, protocols, extensions;

  // The head that refuses what is no handshake of RFC 6455; empty for one that is.
  std::string refusal() const;
  // The protocols in their order, as a list of str. Null with an exception set.
  Ref protocol_list() const;
};

// Once, in the zygote. False with an exception set.
bool prepare_handshakes();
// Sec-WebSocket-Accept for a key. Empty with an exception set when that fails.
std::string accept_key(std::string_view key);

}  // namespace fivefold::python
