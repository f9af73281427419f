#include "serve/address_range.h"

#include <arpa/inet.h>

#include <cstring>
#include <string>

#include "base/text.h"

namespace fivefold::serve {
namespace {

std::optional<std::array<std::uint8_t, 16>> parse_address(std::string_view text, bool& is_v4) {
  const std::string name(text);
  std::array<std::uint8_t, 16> bytes{};
  is_v4 = false;
  if (::inet_pton(AF_INET6, name.c_str(), bytes.data()) == 1) return bytes;
  bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (::inet_pton(AF_INET, name.c_str(), bytes.data() + 12) != 1) return std::nullopt;
  is_v4 = true;
  return bytes;
}

}  // namespace

std::optional<AddressRange> AddressRange::parse(std::string_view text) {
  AddressRange range;
  if (text == "unix:" || text == "unix") {
    range.unix_ = true;
    return range;
  }
  const auto slash = text.find('/');
  bool is_v4 = false;
  const auto bytes = parse_address(text.substr(0, slash), is_v4);
  if (!bytes) return std::nullopt;
  range.bytes_ = *bytes;
  if (slash == std::string_view::npos) return range;
  const auto bits = parse_decimal(text.substr(slash + 1));
  if (!bits || *bits > (is_v4 ? 32u : 128u)) return std::nullopt;
  range.bits_ = static_cast<int>(*bits) + (is_v4 ? 96 : 0);
  return range;
}

bool AddressRange::contains(std::string_view address) const {
  if (unix_) return address == "unix:";
  bool is_v4 = false;
  const auto bytes = parse_address(address, is_v4);
  if (!bytes) return false;
  const int whole = bits_ / 8;
  if (std::memcmp(bytes->data(), bytes_.data(), static_cast<std::size_t>(whole)) != 0) return false;
  const int rest = bits_ % 8;
  if (rest == 0) return true;
  const auto index = static_cast<std::size_t>(whole);
  return ((*bytes)[index] ^ bytes_[index]) >> (8 - rest) == 0;
}

}  // namespace fivefold::serve
