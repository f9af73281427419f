#include "gateway/cgi_response.h"

#include <algorithm>

#include "base/text.h"

namespace fivefold::gateway {
namespace {

constexpr std::size_t kShownBytes = 80;  // of a program's output in a message
constexpr std::size_t kMaxReason = 128;

std::unexpected<Error> refuse(std::string_view why, std::string_view line) {
  return fail(Code::program_failed, std::string(why) + ": \"" + printable(line, kShownBytes) + "\"");
}

std::optional<int> three_digits(std::string_view text) {
  if (text.size() < 3 || !is_digit(text[0]) || !is_digit(text[1]) || !is_digit(text[2])) return std::nullopt;
  if (text.size() > 3 && text[3] != ' ') return std::nullopt;
  return (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
}

// Kept only when it is plain: a reason phrase is text for people and not worth a risk (CVE-2026-33523).
std::string clean_reason(std::string_view text) {
  text = trim(text);
  if (text.size() > kMaxReason) return {};
  if (!std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; })) return {};
  return std::string(text);
}

bool is_hop_by_hop(std::string_view name) {
  for (const std::string_view hop : {"Connection", "Keep-Alive", "TE", "Trailer", "Upgrade", "Proxy-Connection"})
    if (equals_ignoring_case(name, hop)) return true;
  return false;
}

// Orders to a front server that does its own buffering and caching; they are no business of the client's.
bool is_front_server_order(std::string_view name) {
  return name.size() > 8 && equals_ignoring_case(name.substr(0, 8), "X-Accel-");
}

// A path of this server's that can go through the mapping again: section 6.2.2 `local-pathquery`. "//host/..." names
// another server.
bool is_local_target(std::string_view location) {
  if (!location.starts_with('/') || location.starts_with("//")) return false;
  return std::ranges::all_of(location, [](char c) { return c > ' ' && c <= '~' && c != '#' && c != '\\'; });
}

}  // namespace

Result<std::size_t> CgiHeadParser::parse(std::string_view bytes, CgiHead& head) {
  while (true) {
    const auto end = bytes.find('\n', searched_);
    if (end == std::string_view::npos ? bytes.size() >= limits_.head : end >= limits_.head)
      return refuse("the response head is longer than " + std::to_string(limits_.head) + " bytes; it begins with",
                    bytes);
    if (end == std::string_view::npos) {
      searched_ = bytes.size();
      return 0;
    }
    auto line = bytes.substr(line_start_, end - line_start_);
    if (line.ends_with('\r')) line.remove_suffix(1);
    line_start_ = searched_ = end + 1;
    if (!line.empty()) {
      if (auto taken = take_line(line, head); !taken) return std::unexpected(std::move(taken.error()));
      continue;
    }
    if (interim_) {  // a 1xx head of an NPH program: the final one follows
      head = {};
      location_.reset();
      interim_ = false;
      first_line_ = true;
      continue;
    }
    if (auto finished = finish(head); !finished) return std::unexpected(std::move(finished.error()));
    return line_start_;
  }
}

Error CgiHeadParser::ended_early(std::string_view bytes) {
  if (bytes.empty()) return {Code::program_failed, "the program ended without any output"};
  return {
      Code::program_failed,
      "the program ended before its response head did (no empty line after the fields); its output begins with: \"" +
          printable(bytes, kShownBytes) + "\""};
}

Result<void> CgiHeadParser::take_line(std::string_view line, CgiHead& head) {
  const bool first = std::exchange(first_line_, false);
  if (first && limits_.status_line && line.starts_with("HTTP/1.")) return take_status_line(line, head);
  if (++fields_ > limits_.fields)
    return refuse("the response head has more than " + std::to_string(limits_.fields) + " fields; the next is", line);
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return refuse("a line of the response head is no header field", line);
  const auto name = line.substr(0, colon);
  const auto value = trim(line.substr(colon + 1));
  if (!http::is_token(name)) return refuse("a line of the response head has no valid field name", line);
  if (!http::is_field_value(value)) return refuse("a header field has bytes that none may have", line);
  return take_field(name, value, head);
}

Result<void> CgiHeadParser::take_status_line(std::string_view line, CgiHead& head) {
  // "HTTP/1.1 200 OK"
  if (line.size() < 12 || !is_digit(line[7]) || line[8] != ' ') return refuse("the status line is malformed", line);
  const auto status = three_digits(line.substr(9));
  if (!status || *status < 100 || *status > 599 || *status == 101)
    return refuse("the status line has no usable status", line);
  interim_ = *status < 200;
  head.status = *status;
  head.status_given = true;
  head.reason = clean_reason(line.substr(12));
  return {};
}

Result<void> CgiHeadParser::take_status(std::string_view value, CgiHead& head) {
  const auto status = three_digits(value);
  if (!status || *status < 200 || *status > 599)
    return refuse("the Status field is not a status from 200 to 599", value);
  if (head.status_given && head.status != *status)
    return refuse("there are two different statuses; the second is", value);
  head.status = *status;
  head.status_given = true;
  head.reason = clean_reason(value.substr(3));
  return {};
}

Result<void> CgiHeadParser::take_field(std::string_view name, std::string_view value, CgiHead& head) {
  if (equals_ignoring_case(name, "Status")) return take_status(value, head);
  if (equals_ignoring_case(name, "Content-Length")) {
    const auto length = parse_decimal(value);
    if (!length) return refuse("Content-Length is not a number", value);
    if (head.content_length) return refuse("there are two Content-Length fields; the second is", value);
    head.content_length = *length;
    return {};
  }
  if (equals_ignoring_case(name, "Transfer-Encoding"))
    return refuse("the program sent a Transfer-Encoding, which is the server's to choose", value);
  if (equals_ignoring_case(name, "Location")) {
    if (location_ && *location_ != value)
      return refuse("there are two different Location fields; the second is", value);
    location_ = std::string(value);
    return {};
  }
  if (equals_ignoring_case(name, "X-Sendfile") || equals_ignoring_case(name, "X-LIGHTTPD-send-file") ||
      equals_ignoring_case(name, "X-Accel-Redirect")) {
    if (!head.send_file.empty() && head.send_file != value)
      return refuse("two different files are to be sent; the second is", value);
    head.send_file = value;
    return {};
  }
  if (is_hop_by_hop(name) || is_front_server_order(name)) return {};
  const bool added =
      equals_ignoring_case(name, "Content-Type") ? head.headers.set(name, value) : head.headers.add(name, value);
  return added ? Result<void>{} : refuse("a header field cannot be sent on", name);
}

Result<void> CgiHeadParser::finish(CgiHead& head) {
  if (!location_ || location_->empty()) return {};
  if (limits_.redirects && head.status == 200 && is_local_target(*location_)) {
    head.kind = CgiHead::Kind::local_redirect;
    head.local_target = std::move(*location_);
    return {};
  }
  if (!head.headers.add("Location", *location_)) return refuse("Location cannot be sent on", *location_);
  if (limits_.redirects && head.status == 200) {
    head.kind = CgiHead::Kind::client_redirect;
    head.status = 302;
    head.reason.clear();
  }
  return {};
}

}  // namespace fivefold::gateway
