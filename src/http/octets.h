#pragma once
// Classes of bytes, and the one search over them that the parsers share. All tables are built at compile time.
#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace fivefold::http {

using OctetTable = std::array<bool, 256>;

// RFC 9110 section 5.6.2: tchar.
inline constexpr OctetTable kTokenOctets = [] {
  OctetTable table{};
  for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<std::size_t>(c)] = true;
  return table;
}();

constexpr bool is_token_octet(char c) { return kTokenOctets[static_cast<unsigned char>(c)]; }

// The controls of ASCII: 0x00 to 0x1f and DEL.
constexpr bool is_control(char c) {
  const auto octet = static_cast<unsigned char>(c);
  return octet < 0x20 || octet == 0x7f;
}

// What a field value may hold (RFC 9110 section 5.5): everything but controls, and the tab.
constexpr bool is_value_octet(char c) { return !is_control(c) || c == '\t'; }

// The value of a hexadecimal digit; -1 for any other byte.
inline constexpr std::array<std::int8_t, 256> kHexDigits = [] {
  std::array<std::int8_t, 256> table{};
  table.fill(-1);
  for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = static_cast<std::int8_t>(c - '0');
  for (int c = 'a'; c <= 'f'; ++c) table[static_cast<std::size_t>(c)] = static_cast<std::int8_t>(c - 'a' + 10);
  for (int c = 'A'; c <= 'F'; ++c) table[static_cast<std::size_t>(c)] = static_cast<std::int8_t>(c - 'A' + 10);
  return table;
}();

constexpr int hex_digit(char c) { return kHexDigits[static_cast<unsigned char>(c)]; }

// The position of the first control (tab included) of `bytes` at or after `from`; bytes.size() when there is none.
inline std::size_t find_control(std::string_view bytes, std::size_t from) {
  const std::size_t size = bytes.size();
#ifdef __SSE2__
  if (size >= 16) {
    const __m128i last_control = _mm_set1_epi8(0x1f);
    const __m128i del = _mm_set1_epi8(0x7f);
    const auto controls = [&](std::size_t at) {
      const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes.data() + at));
      const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(block, last_control), block);
      return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_or_si128(low, _mm_cmpeq_epi8(block, del))));
    };
    for (; from + 16 <= size; from += 16)
      if (const auto found = controls(from); found != 0)
        return from + static_cast<std::size_t>(std::countr_zero(found));
    if (from >= size) return size;
    // Fewer than 16 are left: look at the last 16 of all and drop those before `from`.
    const auto found = controls(size - 16) >> (16 - (size - from));
    return found != 0 ? from + static_cast<std::size_t>(std::countr_zero(found)) : size;
  }
#endif
  while (from < size && !is_control(bytes[from])) ++from;
  return from;
}

}  // namespace fivefold::http
