#pragma once
// Host and port, as the Host field, an absolute target and CONNECT give them (RFC 3986 section 3.2, RFC 9112
// section 3.2).
#include <cstdint>
#include <optional>
#include <string_view>

namespace fivefold::http {

// Both views point into the text that was parsed.
struct Authority {
  std::string_view host;              // without port and without a trailing dot; an IPv6 address keeps its brackets
  std::optional<std::uint16_t> port;  // none when left out or empty ("example.org:")
};

// Nothing when `text` is not exactly one host with an optional port. Stricter than RFC 3986: a name has letters, digits
// and
// "-._~" in non-empty labels, at most 255 bytes; no user, no percent-encoding, no list, no zone.
std::optional<Authority> parse_authority(std::string_view text);

}  // namespace fivefold::http
