#include "upstream/request_head.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace fivefold::upstream {
bool is_connections_own(std::string_view name) {
  switch (ascii_lower(name.front())) {
    case 'c':
      return equals_ignoring_case(name, "content-length") || equals_ignoring_case(name, "connection");
    case 'e':
      return equals_ignoring_case(name, "expect");
    case 'k':
      return equals_ignoring_case(name, "keep-alive");
    case 'p':
      return equals_ignoring_case(name, "proxy-connection");
    case 't':
      return equals_ignoring_case(name, "transfer-encoding") || equals_ignoring_case(name, "te") ||
             equals_ignoring_case(name, "trailer");
    case 'u':
      return equals_ignoring_case(name, "upgrade");
    default:
      return false;
  }
}

namespace {

bool is_target(std::string_view target) {
  return !target.empty() && std::all_of(target.begin(), target.end(),
                                        [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; });
}

// The fields' wire form in pieces: from one field that is left out to the next.
void append_fields(std::string_view wire, std::string& out) {
  std::size_t copied = 0;
  for (std::size_t at = 0; at < wire.size();) {
    const auto end = wire.find('\n', at) + 1;
    const auto name = wire.substr(at, wire.find(':', at) - at);
    if (is_connections_own(name)) {
      out.append(wire.substr(copied, at - copied));
      copied = end;
    }
    at = end;
  }
  out.append(wire.substr(copied));
}

}  // namespace

Result<void> check_request_line(const OutgoingHead& head) {
  if (!http::is_token(head.method))
    return fail(Code::internal, "The method \"" + printable(head.method) + "\" is no token.");
  if (!is_target(head.target))
    return fail(Code::internal,
                "The request target \"" + printable(head.target) + "\" cannot be sent: it has to be visible bytes.");
  return {};
}

Result<void> append_request_head(const OutgoingHead& head, RequestFraming framing, std::string& out) {
  if (auto checked = check_request_line(head); !checked) return checked;
  out.reserve(out.size() + head.method.size() + head.target.size() + head.fields.wire().size() + 128);
  out.append(head.method).append(" ").append(head.target).append(" HTTP/1.1\r\n");
  append_fields(head.fields.wire(), out);
  switch (framing.kind) {
    case RequestFraming::Kind::length: {
      char digits[20];
      const auto end = std::to_chars(digits, digits + sizeof digits, framing.length).ptr;
      out.append("Content-Length: ").append(digits, end).append("\r\n");
      break;
    }
    case RequestFraming::Kind::chunked:
      out.append("Transfer-Encoding: chunked\r\n");
      break;
    case RequestFraming::Kind::none:
    case RequestFraming::Kind::records:  // FastCGI's own; its requests have no such head
      break;
  }
  if (!head.upgrade.empty()) {
    if (!http::is_field_value(head.upgrade)) return fail(Code::internal, "The Upgrade value cannot be sent.");
    out.append("Connection: Upgrade\r\nUpgrade: ").append(head.upgrade).append("\r\n");
  }
  out.append("\r\n");
  return {};
}

}  // namespace fivefold::upstream
