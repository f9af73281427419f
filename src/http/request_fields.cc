#include "http/request_fields.h"

#include "base/text.h"
#include "http/authority.h"

namespace fivefold::http {
namespace {

// The fields that decide something here, or that may come once only.
enum class Known : std::uint8_t {
  none,
  host,
  content_length,
  transfer_encoding,
  connection,
  upgrade,
  expect,
  // Once only, and otherwise somebody else's: two of them are read differently by different parties.
  authorization,
  proxy_authorization,
  content_type,
  if_modified_since,
  if_unmodified_since,
  if_range,
  range,
  max_forwards,
};

bool is_named(std::string_view name, std::string_view lower_name) {
  // The first byte turns away nearly every name of equal length; `| 0x20` is enough for a guess.
  return (name.front() | 0x20) == lower_name.front() && equals_ignoring_case(name, lower_name);
}

Known known_field(std::string_view name) {
  switch (name.size()) {
    case 4:
      return is_named(name, "host") ? Known::host : Known::none;
    case 5:
      return is_named(name, "range") ? Known::range : Known::none;
    case 6:
      return is_named(name, "expect") ? Known::expect : Known::none;
    case 7:
      return is_named(name, "upgrade") ? Known::upgrade : Known::none;
    case 8:
      return is_named(name, "if-range") ? Known::if_range : Known::none;
    case 10:
      return is_named(name, "connection") ? Known::connection : Known::none;
    case 12:
      if (is_named(name, "content-type")) return Known::content_type;
      return is_named(name, "max-forwards") ? Known::max_forwards : Known::none;
    case 13:
      return is_named(name, "authorization") ? Known::authorization : Known::none;
    case 14:
      return is_named(name, "content-length") ? Known::content_length : Known::none;
    case 17:
      if (is_named(name, "transfer-encoding")) return Known::transfer_encoding;
      return is_named(name, "if-modified-since") ? Known::if_modified_since : Known::none;
    case 19:
      if (is_named(name, "if-unmodified-since")) return Known::if_unmodified_since;
      return is_named(name, "proxy-authorization") ? Known::proxy_authorization : Known::none;
    default:
      return Known::none;
  }
}

constexpr std::uint32_t bit(Known known) { return 1U << static_cast<unsigned>(known); }

constexpr std::uint32_t kRepeatable =
    bit(Known::none) | bit(Known::connection) | bit(Known::upgrade) | bit(Known::expect);

[[gnu::cold]] std::unexpected<Error> bad_field(const Field& field, std::string_view why) {
  return fail(Code::bad_request,
              "The field " + printable(field.name) + ": " + printable(field.value) + " " + std::string(why));
}

Result<void> read_host(const Field& field, Head& head) {
  const auto authority = parse_authority(field.value);
  if (!authority) return bad_field(field, "is not one host with an optional port; send one such as example.org:8080.");
  if (head.form == TargetForm::absolute || head.form == TargetForm::authority) return {};  // RFC 9112 section 3.2.2
  head.host = authority->host;
  head.port = authority->port;
  head.host_field = field.value;
  return {};
}

Result<void> read_content_length(const Field& field, Head& head) {
  const auto length = parse_decimal(field.value);
  if (!length || *length > static_cast<std::uint64_t>(INT64_MAX))
    return bad_field(field, "is not a number of bytes below 2^63; send decimal digits alone.");
  head.content_length = length;
  return {};
}

// RFC 9112 section 6.1: chunked is the only coding there is, once, last and bare. Anything that another party could
// read as chunked while we do not (or the other way round) is 400; a clean coding that we do not have is 501.
Result<void> read_transfer_encoding(const Field& field, Head& head) {
  if (head.minor_version == 0)
    return bad_field(field, "came with HTTP/1.0, which has no transfer codings; send HTTP/1.1.");
  bool unknown = false;
  for (std::string_view rest = field.value;;) {
    const auto comma = rest.find(',');
    const auto item = trim(rest.substr(0, comma));
    const auto coding = trim(item.substr(0, item.find(';')));
    if (head.chunked) return bad_field(field, "has something after chunked; chunked is last and named once.");
    if (!is_token(coding)) return bad_field(field, "has an empty or malformed coding; send chunked alone.");
    if (equals_ignoring_case(coding, "chunked")) {
      if (coding.size() != item.size())
        return bad_field(field, "gives parameters to chunked, which has none; send chunked alone.");
      head.chunked = true;
    } else {
      unknown = true;
    }
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  if (unknown)
    return fail(Code::not_implemented,
                "The transfer coding " + printable(field.value) + " is not one this server has; send chunked alone.");
  return {};
}

}  // namespace

Result<void> read_request_fields(Head& head) {
  head.content_length.reset();
  head.chunked = false;
  head.expect_continue = false;
  bool close = false, keep_alive = false, upgrade = false;
  std::uint32_t seen = 0;
  const Field* coding = nullptr;
  const Field* unmet = nullptr;
  for (const Field& field : head.fields) {
    const Known known = known_field(field.name);
    if (known == Known::none) continue;
    if ((seen & bit(known) & ~kRepeatable) != 0) return bad_field(field, "comes a second time; send it once.");
    seen |= bit(known);
    switch (known) {
      case Known::host:
        if (auto read = read_host(field, head); !read) return read;
        break;
      case Known::content_length:
        if (auto read = read_content_length(field, head); !read) return read;
        break;
      case Known::transfer_encoding:
        coding = &field;
        break;
      case Known::connection:
        for_each_list_item(field.value, [&](std::string_view option) {
          if (equals_ignoring_case(option, "close")) close = true;
          if (equals_ignoring_case(option, "keep-alive")) keep_alive = true;
          if (equals_ignoring_case(option, "upgrade")) upgrade = true;
        });
        break;
      case Known::expect:
        for_each_list_item(field.value, [&](std::string_view expectation) {
          if (equals_ignoring_case(expectation, "100-continue"))
            head.expect_continue = true;
          else
            unmet = &field;
        });
        break;
      default:
        break;
    }
  }
  const bool modern = head.minor_version != 0;
  if (modern && (seen & bit(Known::host)) == 0)
    return fail(Code::bad_request, "The request has no Host field, which HTTP/1.1 requires; send one.");
  if (coding != nullptr) {
    if ((seen & bit(Known::content_length)) != 0)
      return bad_field(*coding, "comes with a Content-Length, so the body's end is ambiguous; send one of the two.");
    if (auto read = read_transfer_encoding(*coding, head); !read) return read;
  }
  head.keep_alive = !close && (modern || keep_alive);
  head.upgrade = modern && upgrade && (seen & bit(Known::upgrade)) != 0;  // RFC 9110 section 7.8: none on HTTP/1.0
  if (!modern) {
    head.expect_continue = false;  // RFC 9110 section 10.1.1
  } else if (unmet != nullptr) {
    return fail(Code::expectation_failed,
                "The expectation " + printable(unmet->value) + " cannot be met; only 100-continue can.");
  }
  return {};
}

}  // namespace fivefold::http
