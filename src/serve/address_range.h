#pragma once
// Internet addresses and ranges of them ("10.0.0.0/8", "2001:db8::/32", "unix:"), for deciding whom to trust.
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace fivefold::serve {

class AddressRange {
 public:
  // Nothing when `text` is neither an address nor a range. "unix:" stands for every Unix-socket client.
  static std::optional<AddressRange> parse(std::string_view text);
  bool contains(std::string_view address) const;

 private:
  std::array<std::uint8_t, 16> bytes_{};  // IPv4 as ::ffff:a.b.c.d
  int bits_ = 128;
  bool unix_ = false;
};

}  // namespace fivefold::serve
