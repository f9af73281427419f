#pragma once
// HTTP dates (RFC 9110 section 5.6.7).
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fivefold::http {

// "Sun, 06 Nov 1994 08:49:37 GMT" from seconds since the epoch.
std::string format_date(std::int64_t unix_seconds);

// All three forms the RFC asks a recipient to take (IMF-fixdate, RFC 850, asctime); `now` resolves RFC 850's two-digit
// year.
std::optional<std::int64_t> parse_date(std::string_view text, std::int64_t now);

}  // namespace fivefold::http
