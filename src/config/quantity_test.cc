#include "config/quantity.h"

#include <gtest/gtest.h>

namespace fivefold::config {
namespace {

using namespace std::chrono_literals;

TEST(Duration, IsANumberAndAUnit) {
  struct Case {
    const char* text;
    std::optional<std::chrono::milliseconds> expected;
  };
  const Case cases[] = {
      {"500ms", 500ms},
      {"30s", 30s},
      {"5m", 5min},
      {"1h", 1h},
      {"30d", 720h},
      {"1.5s", 1500ms},
      {"0s", 0ms},
      {"30 s", 30s},
      {"0.001s", 1ms},
      {"31d", {}},
      {"", {}},
      {"s", {}},
      {"30", {}},
      {"-1s", {}},
      {"+1s", {}},
      {"1e3s", {}},
      {"0.5ms", {}},
      {"1.s", {}},
      {".5s", {}},
      {"1m30s", {}},
      {"30S", {}},
      {"1w", {}},
      {"1..5s", {}},
      {"1.5.5s", {}},
      {"99999999999999999999s", {}},
      {"18446744073709551615ms", {}},
      {"0.0000000001s", {}},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(parse_duration(text), expected) << text;
}

TEST(Size, IsANumberWithOrWithoutAUnit) {
  struct Case {
    const char* text;
    std::optional<std::uint64_t> expected;
  };
  const Case cases[] = {
      {"0", 0},
      {"512", 512},
      {"512B", 512},
      {"64KB", 65536},
      {"64kb", 65536},
      {"64K", 65536},
      {"64KiB", 65536},
      {"128MB", 128ull << 20},
      {"1GB", 1ull << 30},
      {"1 GB", 1ull << 30},
      {"1TB", 1ull << 40},
      {"1.5KB", 1536},
      {"1024TB", 1ull << 50},
      {"1025TB", {}},
      {"0.3KB", {}},
      {"", {}},
      {"KB", {}},
      {"-1", {}},
      {"1XB", {}},
      {"1PB", {}},
      {"1ib", {}},
      {"1KBB", {}},
      {"1KM", {}},
      {"0x10", {}},
      {"18446744073709551616", {}},
      {"18014398509481985KB", {}},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(parse_size(text), expected) << text;
}

TEST(Quantities, AreWrittenInTheLargestUnitThatDividesThem) {
  EXPECT_EQ(format_duration(10s), "10s");
  EXPECT_EQ(format_duration(300s), "300s");
  EXPECT_EQ(format_duration(250ms), "250ms");
  EXPECT_EQ(format_duration(1h), "1h");
  EXPECT_EQ(format_duration(0s), "0s");
  EXPECT_EQ(format_size(0), "0");
  EXPECT_EQ(format_size(240), "240");
  EXPECT_EQ(format_size(32768), "32KB");
  EXPECT_EQ(format_size(1ull << 30), "1GB");
}

}  // namespace
}  // namespace fivefold::config
