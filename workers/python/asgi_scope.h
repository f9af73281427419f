#pragma once
// The scope of an ASGI request (asgiref's www.rst): a dict from the CGI variables of the channel.
#include <string>
#include <string_view>
#include <unordered_map>

#include "python_object.h"
#include "websocket_handshake.h"

namespace fivefold::python {

class AsgiScope {
 public:
  static constexpr std::size_t kMostNames = 256;  // of headers that are kept

  // False with an exception set when there is no memory. Once.
  bool prepare();
  // Each request's scope has a copy of `state` from now on: what the application put there at its start.
  void set_state(PyObject* state) { state_ = Ref::share(state); }

  // A new dict for `block`: "NAME=value" strings back to back, each with its NUL. With `offer`, that of a WebSocket,
  // whose handshake is put there. Null with an exception set.
  Ref build(std::string_view block, WebSocketOffer* offer);

 private:
  struct Variables;
  Ref headers(const Variables& variables);
  PyObject* header_name(std::string_view variable);  // borrowed

  Ref base_, websocket_base_, state_;
  Ref type_, version_, method_, path_, raw_path_, query_, root_path_, scheme_, headers_, client_, server_, state_key_;
  Ref protocols_, http_, https_, ws_, wss_, http11_, http10_, http2_, http3_;
  std::unordered_map<std::string, Ref> names_;  // b"accept-language" of "HTTP_ACCEPT_LANGUAGE"
  Ref unkept_;                                  // the last name that was not kept
};

}  // namespace fivefold::python
