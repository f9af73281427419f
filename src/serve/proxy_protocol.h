#pragma once
// The PROXY protocol, versions 1 and 2, of a load balancer in front: bytes only. Where a listener asks for it, every
// connection begins with it.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace fivefold::serve {

struct ProxyHeader {
  std::size_t consumed = 0;  // 0: more bytes are needed
  bool known = false;        // false for LOCAL and UNKNOWN: the connection's own addresses stand
  std::string source_address;
  std::uint16_t source_port = 0;
  std::string destination_address;
  std::uint16_t destination_port = 0;
};

inline constexpr std::size_t kMaxProxyHeader = 4096;  // version 2 with its extensions; version 1 is at most 107 bytes

// Code::bad_request when `bytes` cannot become a PROXY header.
Result<ProxyHeader> parse_proxy_header(std::string_view bytes);

}  // namespace fivefold::serve
