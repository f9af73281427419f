#include "websocket_handshake.h"

#include <algorithm>

#include "header_rules.h"

namespace fivefold::python {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // section 1.3

PyObject* sha1 = nullptr;
PyObject* base64 = nullptr;

// The base64 of sixteen bytes.
bool is_key(std::string_view key) {
  return key.size() == 24 && key.ends_with("==") && std::all_of(key.begin(), key.end() - 2, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
         });
}

}  // namespace

std::string WebSocketOffer::refusal() const {
  if (version != "13")
    return "Status: 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n";  // section 4.4
  if (!is_key(key)) return "Status: 400 Bad Request\r\nContent-Length: 0\r\n";
  return {};
}

Ref WebSocketOffer::protocol_list() const {
  Ref list = Ref::take(PyList_New(0));
  std::string_view rest = protocols;
  while (list && !rest.empty()) {
    auto name = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
    while (!name.empty() && (name.front() == ' ' || name.front() == '\t')) name.remove_prefix(1);
    while (!name.empty() && (name.back() == ' ' || name.back() == '\t')) name.remove_suffix(1);
    if (!is_token(name)) continue;
    const Ref text = latin1(name);
    if (!text || PyList_Append(list.get(), text.get()) != 0) return {};
  }
  return list;
}

bool prepare_handshakes() {
  const Ref hashlib = Ref::take(PyImport_ImportModule("hashlib"));
  const Ref binascii = Ref::take(PyImport_ImportModule("binascii"));
  sha1 = hashlib ? PyObject_GetAttrString(hashlib.get(), "sha1") : nullptr;
  base64 = binascii ? PyObject_GetAttrString(binascii.get(), "b2a_base64") : nullptr;
  return sha1 != nullptr && base64 != nullptr;
}

std::string accept_key(std::string_view key) {
  const std::string text = std::string(key).append(kGuid);
  const Ref hash = Ref::take(PyObject_CallFunction(sha1, "y#", text.data(), static_cast<Py_ssize_t>(text.size())));
  const Ref digest = hash ? Ref::take(PyObject_CallMethod(hash.get(), "digest", nullptr)) : Ref();
  const Ref encoded = digest ? Ref::take(PyObject_CallOneArg(base64, digest.get())) : Ref();
  if (!encoded) return {};
  const auto line = bytes_of(encoded.get());
  return std::string(line.substr(0, line.find('\n')));
}

}  // namespace fivefold::python
