#include "http/head.h"

#include <algorithm>

#include "base/text.h"
#include "http/octets.h"
#include "http/request_fields.h"
#include "http/request_line.h"

namespace fivefold::http {
namespace {

[[gnu::cold]] std::unexpected<Error> bad_line_end(char control) {
  if (control == '\n')
    return fail(Code::bad_request, "A line of the request head ends in LF alone; end every line in CRLF.");
  if (control == '\r')
    return fail(Code::bad_request, "A CR in the request head is not followed by LF; end every line in CRLF.");
  return fail(Code::bad_request,
              "The request head holds the control byte " + printable({&control, 1}) + "; leave it out.");
}

[[gnu::cold]] std::unexpected<Error> line_too_long(bool request_line, std::size_t limit) {
  if (request_line)
    return fail(Code::uri_too_long,
                "The request line is over " + std::to_string(limit) + " bytes; send a shorter target.");
  return fail(Code::header_too_large,
              "A header field is over " + std::to_string(limit) + " bytes; send a shorter one.");
}

[[gnu::cold]] std::unexpected<Error> bad_field_line(std::string_view line) {
  const auto shown = printable(line);
  if (line.front() == ' ' || line.front() == '\t')
    return fail(Code::bad_request,
                "The header line \"" + shown + "\" begins with white space; fields are not folded over lines.");
  if (line.find(':') == std::string_view::npos)
    return fail(Code::bad_request, "The header line \"" + shown + "\" has no colon; write it as Name: value.");
  return fail(Code::bad_request,
              "The header line \"" + shown + "\" has no token before its colon; write it as Name: value.");
}

// `line` is not empty and the byte after it is CR, so that the search for the colon needs no bound.
bool take_field(std::string_view line, std::vector<Field>& fields) {
  const char* const begin = line.data();
  const char* colon = begin;
  while (is_token_octet(*colon)) ++colon;
  if (colon == begin || *colon != ':') return false;
  const char* first = colon + 1;
  const char* end = begin + line.size();
  while (first != end && (*first == ' ' || *first == '\t')) ++first;
  while (end != first && (end[-1] == ' ' || end[-1] == '\t')) --end;
  fields.push_back({{begin, static_cast<std::size_t>(colon - begin)}, {first, static_cast<std::size_t>(end - first)}});
  return true;
}

}  // namespace

std::optional<std::string_view> Head::field(std::string_view name) const {
  for (const Field& field : fields)
    if (equals_ignoring_case(field.name, name)) return field.value;
  return std::nullopt;
}

// One pass over the bytes from control to control: outside the line ends there are none but tabs, so whatever lies
// between is already known to be free of them. Faults are found in the order of the bytes, which makes the verdict
// independent of how the bytes were cut up on arrival.
Result<std::size_t> HeadParser::scan(std::string_view bytes, Head& head) {
  const auto window = bytes.substr(0, limits_.head);
  head.fields.clear();
  if (scanned_ == 0 && window.starts_with("\r\n")) scanned_ = line_start_ = 2;
  std::size_t at = scanned_;
  for (;;) {
    at = find_control(window, at);
    if (at == window.size()) break;
    const char control = window[at];
    if (control == '\t') {
      ++at;
      continue;
    }
    if (at - line_start_ > line_limit()) return line_too_long(lines_ == 0, line_limit());
    if (control != '\r') return bad_line_end(control);
    if (at + 1 == window.size()) break;
    if (window[at + 1] != '\n') return bad_line_end(control);
    const auto line = window.substr(line_start_, at - line_start_);
    if (lines_ == 0) {
      if (auto parsed = parse_request_line(line, head); !parsed) return std::unexpected(std::move(parsed.error()));
    } else if (line.empty()) {
      return at + 2;
    } else if (lines_ > limits_.fields) {
      return fail(Code::header_too_large,
                  "The request has more than " + std::to_string(limits_.fields) + " header fields; send fewer.");
    } else if (!take_field(line, head.fields)) {
      return bad_field_line(line);
    }
    ++lines_;
    at += 2;
    line_start_ = at;
  }
  scanned_ = at;
  if (at - line_start_ > line_limit()) return line_too_long(lines_ == 0, line_limit());
  if (bytes.size() > limits_.head)
    return fail(Code::header_too_large,
                "The request head is over " + std::to_string(limits_.head) + " bytes; send fewer or shorter fields.");
  return 0;
}

Result<ParsedHead> HeadParser::parse(std::string_view bytes, Head& head) {
  const bool resumed = scanned_ != 0;
  auto end = scan(bytes, head);
  if (end && *end != 0 && resumed) {
    // The bytes may have moved between the calls: read the whole head once more, now that all of it is here.
    reset();
    end = scan(bytes, head);
  }
  if (!end) return std::unexpected(std::move(end.error()));
  if (*end == 0) return ParsedHead{};
  reset();
  if (auto read = read_request_fields(head); !read) return std::unexpected(std::move(read.error()));
  return ParsedHead{*end};
}

}  // namespace fivefold::http
