#pragma once
// Where an application answers.
#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"

namespace fivefold::upstream {

struct Endpoint {
  std::string path = {};  // of a Unix socket; empty: TCP
  std::string host = {};  // a name or an address
  std::uint16_t port = 0;
  bool tls = false;
  std::string text() const;  // "unix:/run/x", "127.0.0.1:9000", "https://example.org:443"
};

// "127.0.0.1:9000", "[::1]:9000", "name:80", "unix:/path", "http://name[:80]", "https://name[:443]". Code::internal
// with what is wrong in words.
Result<Endpoint> parse_endpoint(std::string_view text);

}  // namespace fivefold::upstream
