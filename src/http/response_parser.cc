#include "http/response_parser.h"

#include <algorithm>

#include "base/text.h"
#include "http/octets.h"

namespace fivefold::http {
namespace {

[[gnu::cold]] std::unexpected<Error> bad_head(std::string message) {
  return fail(Code::program_failed, std::move(message));
}

[[gnu::cold]] std::unexpected<Error> bad_line(std::string_view line, std::string_view why) {
  return bad_head("The application's response head has the line \"" + printable(line) + "\", which " +
                  std::string(why));
}

[[gnu::cold]] std::unexpected<Error> bad_control(std::string_view line, char control) {
  if (control == '\n') return bad_line(line, "ends in LF alone; every line must end in CRLF.");
  if (control == '\r') return bad_line(line, "has a CR that is not followed by LF; every line must end in CRLF.");
  return bad_line(line, "goes on with the control byte " + printable({&control, 1}) + "; a head holds none.");
}

[[gnu::cold]] std::unexpected<Error> bad_field(const Field& field, std::string_view why) {
  return bad_head("The application's response has the field \"" + printable(field.name) + ": " +
                  printable(field.value) + "\", which " + std::string(why));
}

// RFC 9112 section 4: "HTTP/1.1 200 OK". The space after the status may be missing with the reason: many leave it out.
bool take_status_line(std::string_view line, ReceivedHead& head) {
  if (line.size() < 12 || !line.starts_with("HTTP/1.") || line[8] != ' ') return false;
  if (line[7] != '0' && line[7] != '1') return false;
  if (!is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11])) return false;
  if (line.size() > 12 && line[12] != ' ') return false;
  const int status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  if (status < 100 || status > 599) return false;
  head.minor_version = line[7] - '0';
  head.status = status;
  head.reason = line.size() > 13 ? line.substr(13) : std::string_view{};
  return true;
}

// `line` is not empty and the byte after it is CR, so that the search for the colon needs no bound.
bool take_field(std::string_view line, std::vector<Field>& fields) {
  const char* const begin = line.data();
  const char* colon = begin;
  while (is_token_octet(*colon)) ++colon;
  if (colon == begin || *colon != ':') return false;
  const auto name_size = static_cast<std::size_t>(colon - begin);
  fields.push_back({line.substr(0, name_size), trim(line.substr(name_size + 1))});
  return true;
}

[[gnu::cold]] std::unexpected<Error> bad_field_line(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t')
    return bad_line(line, "begins with white space; fields are not folded over lines.");
  if (line.find(':') == std::string_view::npos) return bad_line(line, "has no colon; a field is Name: value.");
  return bad_line(line, "has no token before its colon; a field is Name: value.");
}

bool may_have_body(int status, Method request) {
  return request != Method::head && status >= 200 && status != 204 && status != 304;
}

// What the fields decide (RFC 9112 sections 6 and 9).
Result<void> read_fields(Method request, ReceivedHead& head) {
  using Framing = ReceivedHead::Framing;
  head.framing = Framing::none;
  head.length = 0;
  head.announced.reset();
  const Field* coding = nullptr;
  const Field* length = nullptr;
  bool close = false, keep_alive = false, upgrade = false;
  for (const Field& field : head.fields) {
    switch (field.name.size()) {
      case 7:
        if (equals_ignoring_case(field.name, "upgrade")) upgrade = true;
        break;
      case 10:
        if (!equals_ignoring_case(field.name, "connection")) break;
        for_each_list_item(field.value, [&](std::string_view option) {
          if (equals_ignoring_case(option, "close")) close = true;
          if (equals_ignoring_case(option, "keep-alive")) keep_alive = true;
        });
        break;
      case 14:
        if (!equals_ignoring_case(field.name, "content-length")) break;
        if (length != nullptr) return bad_field(field, "comes a second time; one length is enough.");
        length = &field;
        head.announced = parse_decimal(field.value);
        if (!head.announced || *head.announced > static_cast<std::uint64_t>(INT64_MAX))
          return bad_field(field, "is not a number of bytes below 2^63.");
        break;
      case 17:
        if (!equals_ignoring_case(field.name, "transfer-encoding")) break;
        if (coding != nullptr) return bad_field(field, "comes a second time; chunked is named once.");
        coding = &field;
        if (head.minor_version == 0) return bad_field(field, "came with HTTP/1.0, which has no transfer codings.");
        if (!equals_ignoring_case(field.value, "chunked"))
          return bad_field(field, "names another coding than chunked alone, the only one this server takes.");
        break;
      default:
        break;
    }
  }
  if (coding != nullptr && length != nullptr)
    return bad_field(*coding, "comes with a Content-Length, so that the body's end is ambiguous.");
  head.upgrade = head.status == 101 && upgrade;
  head.keep_alive = !close && (head.minor_version != 0 || keep_alive);
  if (!may_have_body(head.status, request)) {
    // RFC 9112 section 6.1: neither belongs to a 1xx or 204. Who sends one anyway may send a body too: after a 204 the
    // connection is not trusted with another response, and what follows a 1xx cannot be told from the final one.
    const bool announces = coding != nullptr || head.announced.value_or(0) > 0;
    if (announces && head.status < 200)
      return bad_field(coding != nullptr ? *coding : *length, "has no place in an interim response.");
    if (announces && head.status == 204) head.keep_alive = false;
  } else if (coding != nullptr) {
    head.framing = Framing::chunked;
  } else if (length != nullptr) {
    head.framing = Framing::length;
    head.length = *head.announced;
  } else {
    head.framing = Framing::until_close;
    head.keep_alive = false;
  }
  return {};
}

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::any_of(names.begin(), names.end(),
                     [name](std::string_view other) { return equals_ignoring_case(name, other); });
}

// What no Connection field can take out of a message: the party behind would decide something on its absence.
bool is_end_to_end_for_sure(std::string_view name) {
  if (name.size() >= 12 && equals_ignoring_case(name.substr(0, 12), "x-forwarded-")) return true;
  return is_one_of(name, {"host",          "content-length", "content-type", "content-encoding", "content-range",
                          "authorization", "cookie",         "set-cookie",   "cache-control",    "date",
                          "expires",       "etag",           "vary",         "location",         "forwarded",
                          "x-real-ip",     "x-request-id",   "traceparent",  "tracestate",       "via",
                          "origin",        "referer",        "range",        "if-match",         "if-none-match"});
}

}  // namespace

std::optional<std::string_view> ReceivedHead::field(std::string_view name) const {
  for (const Field& field : fields)
    if (equals_ignoring_case(field.name, name)) return field.value;
  return std::nullopt;
}

// One pass from control to control, as for requests (head.cc): a fault is found where it is, however the bytes were
// cut.
Result<std::size_t> ResponseHeadParser::scan(std::string_view bytes, ReceivedHead& head) {
  const auto window = bytes.substr(0, limits_.head);
  head.fields.clear();
  std::size_t at = scanned_;
  for (;;) {
    at = find_control(window, at);
    if (at == window.size()) break;
    const char control = window[at];
    if (control == '\t') {
      ++at;
      continue;
    }
    const auto line = window.substr(line_start_, at - line_start_);
    if (control == '\r' && at + 1 == window.size()) break;
    if (control != '\r' || window[at + 1] != '\n') return bad_control(line, control);
    if (lines_ == 0) {
      if (!take_status_line(line, head))
        return bad_line(line, "is no status line of HTTP/1.0 or HTTP/1.1 with a status from 100 to 599.");
    } else if (line.empty()) {
      return at + 2;
    } else if (lines_ > limits_.fields) {
      return bad_line(line, "is one field more than the " + std::to_string(limits_.fields) + " it may have.");
    } else if (!take_field(line, head.fields)) {
      return bad_field_line(line);
    }
    ++lines_;
    at += 2;
    line_start_ = at;
  }
  scanned_ = at;
  // Bytes that cannot become a status line are not waited for: somebody else answers there (TLS, another protocol).
  constexpr std::string_view kStart = "HTTP/1.";
  const auto start = window.substr(0, kStart.size());
  if (lines_ == 0 && start != kStart.substr(0, start.size()))
    return bad_line(window.substr(0, at), "does not begin as HTTP/1.0 or HTTP/1.1 does.");
  if (bytes.size() >= limits_.head)
    return bad_line(window.substr(line_start_),
                    "passes the limit of " + std::to_string(limits_.head) + " bytes for the whole head.");
  return 0;
}

Result<std::size_t> ResponseHeadParser::parse(std::string_view bytes, Method request, ReceivedHead& head) {
  const bool resumed = scanned_ != 0;
  auto end = scan(bytes, head);
  if (end && *end != 0 && resumed) {
    // The bytes may have moved between the calls: read the whole head once more, now that all of it is here.
    reset();
    end = scan(bytes, head);
  }
  if (!end || *end == 0) return end;
  reset();
  if (auto read = read_fields(request, head); !read) return std::unexpected(std::move(read.error()));
  return end;
}

bool is_hop_by_hop(std::string_view name, std::string_view connection) {
  if (name.empty()) return false;
  switch (ascii_lower(name.front())) {
    case 'c':
      if (equals_ignoring_case(name, "connection")) return true;
      break;
    case 'k':
      if (equals_ignoring_case(name, "keep-alive")) return true;
      break;
    case 'p':
      if (equals_ignoring_case(name, "proxy-connection")) return true;
      break;
    case 't':
      if (is_one_of(name, {"te", "trailer", "transfer-encoding"})) return true;
      break;
    case 'u':
      if (equals_ignoring_case(name, "upgrade")) return true;
      break;
    default:
      break;
  }
  if (connection.empty()) return false;
  bool named = false;
  for_each_list_item(connection, [&](std::string_view option) { named = named || equals_ignoring_case(option, name); });
  return named && !is_end_to_end_for_sure(name);
}

}  // namespace fivefold::http
