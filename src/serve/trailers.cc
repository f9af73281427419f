#include "serve/trailers.h"

#include <algorithm>
#include <iterator>

#include "base/text.h"

namespace fivefold::serve {
namespace {

// RFC 9110 section 6.5.1 names the kinds; these are the registered fields of each.
constexpr std::string_view kNeverBehindABody[] = {
    // framing and the connection
    "connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    "http2-settings",
    // routing
    "forwarded", "host", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
    // request modifiers
    "expect", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "max-forwards",
    "range",
    // authentication and cookies
    "authorization", "cookie", "proxy-authenticate", "proxy-authorization", "set-cookie", "www-authenticate",
    // response controls
    "age", "allow", "cache-control", "clear-site-data", "date", "expires", "location", "pragma", "retry-after", "vary",
    "warning",
    // what a recipient decides by before it takes the body
    "access-control-allow-credentials", "access-control-allow-headers", "access-control-allow-methods",
    "access-control-allow-origin", "access-control-expose-headers", "access-control-max-age", "content-security-policy",
    "referrer-policy", "strict-transport-security", "x-content-type-options", "x-frame-options",
    // content format
    "content-disposition", "content-encoding", "content-language", "content-range", "content-type"};

bool may_stand_behind_a_body(std::string_view name) {
  return std::none_of(std::begin(kNeverBehindABody), std::end(kNeverBehindABody),
                      [name](std::string_view forbidden) { return equals_ignoring_case(name, forbidden); });
}

}  // namespace

bool accepts_trailers(const http::Head& head) {
  bool accepts = false;
  for (const auto& field : head.fields)
    if (equals_ignoring_case(field.name, "te"))
      for_each_list_item(field.value, [&accepts](std::string_view coding) {
        accepts = accepts || equals_ignoring_case(trim(coding.substr(0, coding.find(';'))), "trailers");
      });
  return accepts;
}

std::string last_chunk_with(const http::Headers& trailers) {
  std::string bytes = "0\r\n";
  trailers.for_each([&bytes](std::string_view name, std::string_view value) {
    if (!may_stand_behind_a_body(name)) return;
    bytes.append(name).append(": ").append(value).append("\r\n");
  });
  return bytes.append("\r\n");
}

}  // namespace fivefold::serve
