#include "process/pool_words.h"

#include <fmt/format.h>

namespace fivefold::process {

std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return digits;
}

std::string in_words(std::chrono::nanoseconds time) {
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  if (milliseconds < 1000) return fmt::format("{} ms", milliseconds);
  if (milliseconds < 60'000) {
    const auto tenths = milliseconds / 100;
    return tenths % 10 == 0 ? fmt::format("{} s", tenths / 10) : fmt::format("{}.{} s", tenths / 10, tenths % 10);
  }
  const auto two = [](auto large, const char* large_name, auto small, const char* small_name) {
    return small == 0 ? fmt::format("{} {}", large, large_name)
                      : fmt::format("{} {} {} {}", large, large_name, small, small_name);
  };
  const auto seconds = milliseconds / 1000;
  if (seconds < 3600) return two(seconds / 60, "min", seconds % 60, "s");
  if (seconds < 86'400) return two(seconds / 3600, "h", seconds % 3600 / 60, "min");
  return two(seconds / 86'400, "d", seconds % 86'400 / 3600, "h");
}

std::string memory_in_words(std::uint64_t bytes) {
  if (bytes < 1024 * 1024) return fmt::format("{} KiB", bytes / 1024);
  if (bytes < 1024 * 1024 * 1024) return fmt::format("{} MiB", bytes / (1024 * 1024));
  return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / (1024.0 * 1024.0 * 1024.0));
}

std::string requests_in_words(std::uint64_t number) {
  return number == 1 ? "1 request" : grouped(number) + " requests";
}

}  // namespace fivefold::process
