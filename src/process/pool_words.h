#pragma once
// Numbers and times as the pool's log lines say them.
#include <chrono>
#include <cstdint>
#include <string>

namespace fivefold::process {

std::string grouped(std::uint64_t number);            // "1,000"
std::string in_words(std::chrono::nanoseconds time);  // "212 ms", "4.5 s", "3 min 20 s", "5 h 2 min"
std::string memory_in_words(std::uint64_t bytes);     // "812 KiB", "310 MiB", "1.5 GiB"
std::string requests_in_words(std::uint64_t number);  // "1 request", "1,000 requests"

}  // namespace fivefold::process
