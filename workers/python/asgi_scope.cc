#include "asgi_scope.h"

#include <charconv>
#include <vector>

namespace fivefold::python {
namespace {

Ref intern(const char* text) { return Ref::take(PyUnicode_InternFromString(text)); }

Ref bytes(std::string_view text) {
  return Ref::take(PyBytes_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size())));
}

// What is no UTF-8 stays recognisable, as Python's file names do.
Ref utf8(std::string_view text) {
  return Ref::take(PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "surrogateescape"));
}

Ref address(std::string_view host, std::string_view port) {
  if (host.empty()) return Ref::share(Py_None);
  int number = 0;
  std::from_chars(port.data(), port.data() + port.size(), number);
  const Ref name = utf8(host);
  return name ? Ref::take(Py_BuildValue("(Oi)", name.get(), number)) : Ref();
}

bool set(const Ref& dict, const Ref& key, Ref value) {
  return value && PyDict_SetItem(dict.get(), key.get(), value.get()) == 0;
}

}  // namespace

// Those of a request that the scope is made of; the headers in their order.
struct AsgiScope::Variables {
  std::string_view method, path, query, root_path, uri, protocol, host, remote_address, remote_port, server_name,
      server_port;
  bool secure = false;
  std::vector<std::pair<std::string_view, std::string_view>> headers;

  explicit Variables(std::string_view block) {
    headers.reserve(32);
    while (!block.empty()) {
      const auto text = block.substr(0, block.find('\0'));
      block.remove_prefix(std::min(block.size(), text.size() + 1));
      const auto equals = text.find('=');
      if (equals != std::string_view::npos) take(text.substr(0, equals), text.substr(equals + 1));
    }
  }

  void take(std::string_view name, std::string_view value) {
    if (name.starts_with("HTTP_") || name == "CONTENT_TYPE" || name == "CONTENT_LENGTH") {
      if (name == "HTTP_HOST")
        host = value;
      else
        headers.emplace_back(name, value);
      if (name.starts_with("HTTP_SEC_WEBSOCKET_")) take_handshake(name.substr(19), value);
    } else if (name == "REQUEST_METHOD") {
      method = value;
    } else if (name == "PATH_INFO") {
      path = value;
    } else if (name == "QUERY_STRING") {
      query = value;
    } else if (name == "SCRIPT_NAME") {
      root_path = value;
    } else if (name == "REQUEST_URI") {
      uri = value;
    } else if (name == "SERVER_PROTOCOL") {
      protocol = value;
    } else if (name == "REMOTE_ADDR") {
      remote_address = value;
    } else if (name == "REMOTE_PORT") {
      remote_port = value;
    } else if (name == "SERVER_NAME") {
      server_name = value;
    } else if (name == "SERVER_PORT") {
      server_port = value;
    } else if (name == "HTTPS") {
      secure = value != "off";
    }
  }

  WebSocketOffer offer;

  void take_handshake(std::string_view name, std::string_view value) {
    if (name == "KEY")
      offer.key = value;
    else if (name == "VERSION")
      offer.version = value;
    else if (name == "PROTOCOL")
      offer.protocols = value;
    else if (name == "EXTENSIONS")
      offer.extensions = value;
  }
};

bool AsgiScope::prepare() {
  type_ = intern("type");
  version_ = intern("http_version");
  method_ = intern("method");
  path_ = intern("path");
  raw_path_ = intern("raw_path");
  query_ = intern("query_string");
  root_path_ = intern("root_path");
  scheme_ = intern("scheme");
  headers_ = intern("headers");
  client_ = intern("client");
  server_ = intern("server");
  state_key_ = intern("state");
  http_ = intern("http");
  https_ = intern("https");
  ws_ = intern("ws");
  wss_ = intern("wss");
  protocols_ = intern("subprotocols");
  http11_ = intern("1.1");
  http10_ = intern("1.0");
  http2_ = intern("2");
  http3_ = intern("3");
  base_ = Ref::take(Py_BuildValue("{s:s,s:{s:s,s:s},s:{s:{}}}", "type", "http", "asgi", "version", "3.0",
                                  "spec_version", "2.4", "extensions", "http.response.early_hint"));
  websocket_base_ = Ref::take(Py_BuildValue("{s:s,s:{s:s,s:s},s:{s:{}}}", "type", "websocket", "asgi", "version", "3.0",
                                            "spec_version", "2.4", "extensions", "websocket.http.response"));
  return base_ && websocket_base_ && http3_;
}

Ref AsgiScope::build(std::string_view block, WebSocketOffer* offer) {
  const Variables from(block);
  const bool websocket = offer != nullptr;
  if (websocket) *offer = from.offer;
  Ref dict = Ref::take(PyDict_Copy((websocket ? websocket_base_ : base_).get()));
  if (!dict) return {};
  // The path is below root_path, as routers of all ages find their routes with it.
  const auto raw_path = from.uri.substr(0, from.uri.find('?'));
  const Ref& version = from.protocol == "HTTP/1.1"           ? http11_
                       : from.protocol.starts_with("HTTP/2") ? http2_
                       : from.protocol.starts_with("HTTP/3") ? http3_
                                                             : http10_;
  const Ref& scheme = websocket ? (from.secure ? wss_ : ws_) : from.secure ? https_ : http_;
  const bool whole =
      set(dict, version_, Ref::share(version.get())) &&
      (websocket ? set(dict, protocols_, offer->protocol_list()) : set(dict, method_, latin1(from.method))) &&
      set(dict, path_, utf8(from.path)) && set(dict, raw_path_, bytes(raw_path)) &&
      set(dict, query_, bytes(from.query)) && set(dict, root_path_, utf8(from.root_path)) &&
      set(dict, scheme_, Ref::share(scheme.get())) && set(dict, headers_, headers(from)) &&
      set(dict, client_, address(from.remote_address, from.remote_port)) &&
      set(dict, server_, address(from.server_name, from.server_port)) &&
      (!state_ || set(dict, state_key_, Ref::take(PyDict_Copy(state_.get()))));
  return whole ? std::move(dict) : Ref();
}

Ref AsgiScope::headers(const Variables& from) {
  const bool has_host = !from.host.empty();
  Ref list = Ref::take(PyList_New(static_cast<Py_ssize_t>(from.headers.size() + (has_host ? 1 : 0))));
  Py_ssize_t at = 0;
  const auto add = [&](std::string_view variable, std::string_view value) {
    const Ref text = bytes(value);
    PyObject* name = header_name(variable);
    PyObject* pair = text && name != nullptr ? PyTuple_Pack(2, name, text.get()) : nullptr;
    if (pair != nullptr) PyList_SET_ITEM(list.get(), at++, pair);
    return pair != nullptr;
  };
  if (!list || (has_host && !add("HTTP_HOST", from.host))) return {};
  for (const auto& [variable, value] : from.headers)
    if (!add(variable, value)) return {};
  return list;
}

PyObject* AsgiScope::header_name(std::string_view variable) {
  std::string key(variable);
  if (const auto known = names_.find(key); known != names_.end()) return known->second.get();
  std::string name(variable.starts_with("HTTP_") ? variable.substr(5) : variable);
  for (char& c : name) c = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  Ref made = bytes(name);
  PyObject* borrowed = made.get();
  if (made && names_.size() < kMostNames)
    names_.emplace(std::move(key), std::move(made));
  else
    unkept_ = std::move(made);
  return borrowed;
}

}  // namespace fivefold::python
