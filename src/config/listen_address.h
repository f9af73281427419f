#pragma once
// Addresses as the configuration names them: those to listen on, and ranges of those to trust.
#include <expected>
#include <string>
#include <string_view>

#include "config/config.h"
#include "config/table_reader.h"

namespace fivefold::config {

inline constexpr std::size_t kLongestUnixPath = 107;  // sun_path without its NUL

// "host:port", "[ipv6]:port", "*:port", "unix:/path" (relative ones taken from `directory`); what is wrong with it
// else.
std::expected<Listen, Complaint> parse_listen(std::string_view text, const std::string& directory);

// Whether two would take the same socket; port 0 is another port each time.
bool same_socket(const Listen& a, const Listen& b);

// "10.0.0.1", "10.0.0.0/8", "2001:db8::/32", "unix:" for every client of a Unix socket.
Complaint check_address_range(std::string_view text);

}  // namespace fivefold::config
