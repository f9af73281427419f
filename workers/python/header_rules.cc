#include "header_rules.h"

#include <algorithm>
#include <array>

namespace fivefold::python {
namespace {

constexpr std::array<bool, 256> token_table() {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (const char c : {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'})
    table[static_cast<std::size_t>(c)] = true;
  return table;
}
constexpr auto kToken = token_table();

}  // namespace

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](unsigned char c) { return kToken[c]; });
}

bool is_value(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) { return (c >= 0x20 && c != 0x7f) || c == '\t'; });
}

bool equals_lower(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() && std::ranges::equal(text, lower, [](char a, char b) {
           return (a >= 'A' && a <= 'Z' ? a + ('a' - 'A') : a) == b;
         });
}

bool is_hop_by_hop(std::string_view name) {
  switch (name.size()) {
    case 2:
      return equals_lower(name, "te");
    case 7:
      return equals_lower(name, "trailer") || equals_lower(name, "upgrade");
    case 8:
      return equals_lower(name, "trailers");
    case 10:
      return equals_lower(name, "connection") || equals_lower(name, "keep-alive");
    case 17:
      return equals_lower(name, "transfer-encoding");
    case 18:
      return equals_lower(name, "proxy-authenticate");
    case 19:
      return equals_lower(name, "proxy-authorization");
    default:
      return false;
  }
}

}  // namespace fivefold::python
