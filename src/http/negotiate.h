#pragma once
// Accept-Encoding (RFC 9110 section 12.5.3).
#include <cstdint>
#include <string_view>

namespace fivefold::http {

enum class Coding : std::uint8_t { identity, gzip, br, zstd };

std::string_view coding_name(Coding coding);  // "gzip", "br", "zstd", "" for identity

// Bits of codings the client takes with a q above zero.
struct AcceptedCodings {
  bool gzip = false, br = false, zstd = false;
  bool accepts(Coding coding) const;
};

AcceptedCodings parse_accept_encoding(std::string_view value);

// The weight the client gives each coding, in thousandths (RFC 9110 section 12.4.2); 0: not wanted.
struct CodingWeights {
  std::uint16_t gzip = 0, br = 0, zstd = 0;
  std::uint16_t of(Coding coding) const;
};

CodingWeights parse_coding_weights(std::string_view value);

}  // namespace fivefold::http
