#include "gateway/index_query.h"

#include <algorithm>
#include <optional>

namespace fivefold::gateway {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> decode_word(std::string_view raw) {
  std::string word;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '%') {
      word.push_back(raw[i]);
      continue;
    }
    if (i + 2 >= raw.size()) return std::nullopt;
    const int high = hex_digit(raw[i + 1]), low = hex_digit(raw[i + 2]);
    if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
    word.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return word;
}

// A dash that php-cgi on Windows would take for '-' after "best fit" is none here; a plain one is refused, in front of
// white space too.
bool looks_like_an_option(std::string_view word) {
  const auto first = word.find_first_not_of(" \t\r\n\v\f");
  return first != std::string_view::npos && word[first] == '-';
}

}  // namespace

std::vector<std::string> index_words(http::Method method, std::string_view query) {
  if (method != http::Method::get && method != http::Method::head) return {};
  if (query.empty() || query.size() > kMaxIndexBytes || query.find('=') != std::string_view::npos) return {};
  std::vector<std::string> words;
  while (true) {
    const auto plus = query.find('+');
    auto word = decode_word(query.substr(0, plus));
    if (!word || looks_like_an_option(*word) || words.size() == kMaxIndexWords) return {};
    words.push_back(std::move(*word));
    if (plus == std::string_view::npos) return words;
    query.remove_prefix(plus + 1);
  }
}

}  // namespace fivefold::gateway
