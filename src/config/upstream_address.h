#pragma once
// Addresses of applications that somebody else starts, as the configuration names them.
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "config/table_reader.h"

namespace fivefold::config {

struct UpstreamAddress {
  std::string text;        // as the server takes it: relative socket paths made absolute
  std::string path = {};   // of a Unix socket, "@name" for an abstract one; empty: TCP
  std::string host = {};   // a name or an address, an IPv6 one without brackets
  std::uint16_t port = 0;  // never 0 with a host
  bool tls = false;        // "https://"
  bool same_place(const UpstreamAddress& other) const;
};

// "127.0.0.1:9000", "[::1]:9000", "name:80", "unix:/path" (relative ones taken from `directory`), "http://name[:80]",
// "https://name[:443]"; what is wrong with it else.
std::expected<UpstreamAddress, Complaint> parse_upstream(std::string_view text, const std::string& directory);

}  // namespace fivefold::config
