#include "http/authority.h"

#include <arpa/inet.h>

#include <array>
#include <cstring>

#include "base/text.h"

namespace fivefold::http {
namespace {

constexpr std::size_t kHostLimit = 255;  // RFC 1035: no longer name exists
constexpr std::size_t kPortDigits = 5;

constexpr std::array<bool, 256> kNameOctets = [] {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (const char c : std::string_view("-._~")) table[static_cast<std::size_t>(c)] = true;
  return table;
}();

// `text` is what stands after the host: nothing, ":" or ":" and digits.
bool read_port(std::string_view text, std::optional<std::uint16_t>& port) {
  if (text.empty()) return true;
  if (text.front() != ':') return false;
  text.remove_prefix(1);
  if (text.empty()) return true;
  if (text.size() > kPortDigits) return false;
  std::uint32_t number = 0;
  for (const char c : text) {
    if (!is_digit(c)) return false;
    number = number * 10 + static_cast<std::uint32_t>(c - '0');
  }
  if (number > 65535) return false;
  port = static_cast<std::uint16_t>(number);
  return true;
}

bool is_ipv6(std::string_view text) {
  char terminated[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof terminated || text.find('\0') != std::string_view::npos) return false;
  std::memcpy(terminated, text.data(), text.size());
  terminated[text.size()] = '\0';
  in6_addr address;
  return ::inet_pton(AF_INET6, terminated, &address) == 1;
}

}  // namespace

std::optional<Authority> parse_authority(std::string_view text) {
  Authority authority;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos || !is_ipv6(text.substr(1, close - 1))) return std::nullopt;
    authority.host = text.substr(0, close + 1);
    if (!read_port(text.substr(close + 1), authority.port)) return std::nullopt;
    return authority;
  }
  std::size_t end = 0;
  char previous = '.';  // so that a leading dot counts as an empty label
  for (; end < text.size() && kNameOctets[static_cast<unsigned char>(text[end])]; ++end) {
    if (text[end] == '.' && previous == '.') return std::nullopt;
    previous = text[end];
  }
  authority.host = text.substr(0, end);
  if (authority.host.ends_with('.')) authority.host.remove_suffix(1);
  if (authority.host.empty() || authority.host.size() > kHostLimit) return std::nullopt;
  if (!read_port(text.substr(end), authority.port)) return std::nullopt;
  return authority;
}

}  // namespace fivefold::http
