#pragma once
// Durations and sizes as people write them: "30s", "1.5h", "128MB".
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fivefold::config {

inline constexpr std::chrono::milliseconds kMaxDuration = std::chrono::hours(24 * 30);
inline constexpr std::uint64_t kMaxSize = 1ull << 50;

// A number with one of ms, s, m, h, d. Nothing when it is anything else, negative, no whole number of milliseconds, or
// over kMaxDuration.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// A number, alone or with one of B, KB, MB, GB, TB (in steps of 1024; "K" and "KiB" mean the same, in either case).
// Nothing when it is anything else, negative, no whole number of bytes, or over kMaxSize.
std::optional<std::uint64_t> parse_size(std::string_view text);

// In the largest unit that divides it; durations up to ten minutes are said in seconds.
std::string format_duration(std::chrono::milliseconds duration);
std::string format_size(std::uint64_t bytes);

}  // namespace fivefold::config
