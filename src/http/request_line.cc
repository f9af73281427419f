#include "http/request_line.h"

#include "base/text.h"
#include "http/authority.h"

namespace fivefold::http {
namespace {

constexpr std::size_t kVersionLength = 8;  // "HTTP/1.1"

Method method_of(std::string_view text) {
  switch (text.size()) {
    case 3:
      if (text == "GET") return Method::get;
      if (text == "PUT") return Method::put;
      break;
    case 4:
      if (text == "POST") return Method::post;
      if (text == "HEAD") return Method::head;
      break;
    case 5:
      if (text == "PATCH") return Method::patch;
      if (text == "TRACE") return Method::trace;
      break;
    case 6:
      if (text == "DELETE") return Method::delete_;
      break;
    case 7:
      if (text == "OPTIONS") return Method::options;
      if (text == "CONNECT") return Method::connect;
      break;
    default:
      break;
  }
  return Method::other;
}

// Raw controls, spaces, DEL and 8-bit bytes must be percent-encoded, and a fragment is the client's own (RFC 9112
// section 3.2).
bool has_only_target_octets(std::string_view target) {
  unsigned bad = 0;
  for (const char c : target) {
    const auto octet = static_cast<unsigned char>(c);
    bad |= static_cast<unsigned>(octet <= 0x20) | static_cast<unsigned>(octet >= 0x7f) |
           static_cast<unsigned>(octet == '#');
  }
  return bad == 0;
}

void split_query(std::string_view text, Head& head) {
  const auto mark = text.find('?');
  head.raw_path = text.substr(0, mark);
  head.has_query = mark != std::string_view::npos;
  head.query = head.has_query ? text.substr(mark + 1) : std::string_view{};
  if (head.raw_path.empty()) head.raw_path = "/";
}

[[gnu::cold]] std::unexpected<Error> bad_target(std::string_view target, std::string_view why) {
  return fail(Code::bad_request, "The request target \"" + printable(target) + "\" " + std::string(why));
}

Result<void> take_authority(std::string_view text, Head& head) {
  const auto authority = parse_authority(text);
  if (!authority) return bad_target(head.target, "has no valid host and port; write them as example.org:8080.");
  head.host = authority->host;
  head.port = authority->port;
  head.host_field = text;
  return {};
}

Result<void> read_target(Head& head) {
  const auto target = head.target;
  if (!has_only_target_octets(target))
    return bad_target(target,
                      "holds a space, control, 8-bit byte or '#'; percent-encode it, and keep fragments to yourself.");
  if (head.method == Method::connect) {
    head.form = TargetForm::authority;
    head.raw_path = target;
    if (auto taken = take_authority(target, head); !taken) return taken;
    if (!head.port) return bad_target(target, "names no port; CONNECT needs host and port, such as example.org:443.");
    return {};
  }
  if (target.front() == '/') {
    head.form = TargetForm::origin;
    split_query(target, head);
    return {};
  }
  if (target == "*") {
    if (head.method != Method::options)
      return bad_target(target, "is for OPTIONS only; ask for a path that begins with '/'.");
    head.form = TargetForm::asterisk;
    head.raw_path = target;
    return {};
  }
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!equals_ignoring_case(target.substr(0, scheme.size()), scheme)) continue;
    head.form = TargetForm::absolute;
    const auto rest = target.substr(scheme.size());
    const auto end = rest.find_first_of("/?");
    if (auto taken = take_authority(rest.substr(0, end), head); !taken) return taken;
    split_query(end == std::string_view::npos ? std::string_view{} : rest.substr(end), head);
    return {};
  }
  return bad_target(target, "is neither a path that begins with '/' nor an http or https address; send one of these.");
}

Result<void> read_version(std::string_view version, Head& head) {
  if (!version.starts_with("HTTP/") || !is_digit(version[5]) || version[6] != '.' || !is_digit(version[7]) ||
      version[5] == '0')
    return fail(Code::bad_request, "The request line does not end in an HTTP version but in \"" + printable(version) +
                                       "\"; end it in HTTP/1.1.");
  if (version[5] != '1')
    return fail(Code::version_not_supported, "The request asks for " + std::string(version) +
                                                 " on a connection that speaks "
                                                 "HTTP/1.1; send HTTP/1.1.");
  head.minor_version = version[7] == '0' ? 0 : 1;
  return {};
}

}  // namespace

Result<void> parse_request_line(std::string_view line, Head& head) {
  const auto space = line.find(' ');
  if (space == std::string_view::npos || space == 0 || line.size() < space + 1 + 1 + 1 + kVersionLength ||
      line[line.size() - kVersionLength - 1] != ' ')
    return fail(Code::bad_request, "The request line \"" + printable(line) +
                                       "\" is not a method, one space, a target, one space and HTTP/1.1; send these.");
  head.method_text = line.substr(0, space);
  head.method = method_of(head.method_text);
  if (head.method == Method::other && !is_token(head.method_text))
    return fail(Code::bad_request,
                "The method \"" + printable(head.method_text) + "\" is not a token; send one such as GET.");
  head.target = line.substr(space + 1, line.size() - space - 2 - kVersionLength);
  head.has_query = false;
  head.query = {};
  head.host = {};
  head.host_field = {};
  head.port.reset();
  if (auto version = read_version(line.substr(line.size() - kVersionLength), head); !version) return version;
  return read_target(head);
}

}  // namespace fivefold::http
