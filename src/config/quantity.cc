#include "config/quantity.h"

#include <array>
#include <utility>

#include "base/text.h"

namespace fivefold::config {
namespace {

// `text` is a decimal number with at most nine digits after the point; `unit` times it, when that is a whole number up
// to `most`.
std::optional<std::uint64_t> scaled(std::string_view text, std::uint64_t unit, std::uint64_t most) {
  const auto point = text.find('.');
  const auto whole = parse_decimal(text.substr(0, point));
  if (!whole || *whole > most / unit) return std::nullopt;
  std::uint64_t result = *whole * unit;
  if (point != std::string_view::npos) {
    const auto digits = text.substr(point + 1);
    const auto fraction = parse_decimal(digits);
    if (!fraction || digits.size() > 9) return std::nullopt;
    std::uint64_t divisor = 1;
    for (std::size_t i = 0; i < digits.size(); ++i) divisor *= 10;
    const auto product = static_cast<unsigned __int128>(*fraction) * unit;
    if (product % divisor != 0) return std::nullopt;
    result += static_cast<std::uint64_t>(product / divisor);
  }
  if (result > most) return std::nullopt;
  return result;
}

// The number and the unit, split where the letters begin; white space between them is allowed.
std::pair<std::string_view, std::string_view> split(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size() && (is_digit(text[end]) || text[end] == '.')) ++end;
  return {text.substr(0, end), trim(text.substr(end))};
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, std::uint64_t>, 5> kUnits = {
      {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
  const auto [number, unit] = split(text);
  for (const auto& [name, milliseconds] : kUnits) {
    if (unit != name) continue;
    const auto value = scaled(number, milliseconds, static_cast<std::uint64_t>(kMaxDuration.count()));
    if (!value) return std::nullopt;
    return std::chrono::milliseconds(*value);
  }
  return std::nullopt;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  const auto [number, given] = split(text);
  std::string unit = to_lower(given);
  if (unit == "b") unit.clear();
  if (unit.ends_with("ib") && unit.size() == 3)
    unit.resize(1);
  else if (unit.ends_with('b') && unit.size() == 2)
    unit.resize(1);
  constexpr std::string_view kSteps = "kmgt";
  if (unit.empty()) return scaled(number, 1, kMaxSize);
  const auto step = kSteps.find(unit);
  if (unit.size() != 1 || step == std::string_view::npos) return std::nullopt;
  return scaled(number, 1ull << (10 * (step + 1)), kMaxSize);
}

std::string format_duration(std::chrono::milliseconds duration) {
  const auto count = duration.count();
  if (count % 1000 != 0) return std::to_string(count) + "ms";
  const auto seconds = count / 1000;
  if (seconds > 600 && seconds % 86400 == 0) return std::to_string(seconds / 86400) + "d";
  if (seconds > 600 && seconds % 3600 == 0) return std::to_string(seconds / 3600) + "h";
  if (seconds > 600 && seconds % 60 == 0) return std::to_string(seconds / 60) + "m";
  return std::to_string(seconds) + "s";
}

std::string format_size(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 5> kUnits = {"", "KB", "MB", "GB", "TB"};
  std::size_t unit = 0;
  while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return std::to_string(bytes) + std::string(kUnits[unit]);
}

}  // namespace fivefold::config
