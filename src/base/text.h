#pragma once
// ASCII text helpers. Nothing here looks at the locale: HTTP is ASCII and names of files are bytes.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fivefold {

constexpr char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
constexpr char ascii_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

constexpr bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (ascii_lower(a[i]) != ascii_lower(b[i])) return false;
  return true;
}

// Without the spaces and tabs (RFC 9110 OWS) at both ends.
constexpr std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string to_lower(std::string_view text);

// Decimal digits only, no sign, no space; nothing when it does not fit in 64 bits or is not a number.
std::optional<std::uint64_t> parse_decimal(std::string_view text);

// Calls `each(item)` for every item of a comma-separated list, trimmed; empty items are skipped (RFC 9110
// section 5.6.1).
template <class Each>
void for_each_list_item(std::string_view list, Each&& each) {
  while (!list.empty()) {
    const auto comma = list.find(',');
    const auto item = trim(list.substr(0, comma));
    if (!item.empty()) each(item);
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

// `<`, `>`, `&`, `"` and `'` as character references, for text and attribute values of a page.
std::string html_escape(std::string_view text);

// Every byte outside RFC 3986 "unreserved" and '/' as %XX: a file name of any bytes becomes a safe URL path.
std::string percent_encode_path(std::string_view bytes);

// A printable ASCII rendering for logs: control and non-ASCII bytes become \xNN, and it is cut at `limit` with "...".
std::string printable(std::string_view bytes, std::size_t limit = 80);

// The smallest number of single-character edits between two words (Levenshtein); used to guess at misspelt names.
std::size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace fivefold
