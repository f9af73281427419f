// RFC 9110 section 14: which bytes of a representation a GET asks for.
#include <gtest/gtest.h>

#include <string>

#include "http/conditional.h"

namespace fivefold::http {
namespace {

constexpr std::int64_t kModified = 784111777;  // Sun, 06 Nov 1994 08:49:37 GMT
constexpr std::int64_t kNow = 1767225600;
const Validators kValidators{.etag = "\"a\"", .last_modified = kModified};

// "whole", "416" or "first+length first+length".
std::string decided(std::vector<Field> fields, std::uint64_t size = 100, std::size_t max_ranges = 16,
                    Method method = Method::get, const Validators& validators = kValidators, std::int64_t now = kNow) {
  Head head;
  head.method = method;
  head.fields = std::move(fields);
  const auto decision = decide_ranges(head, validators, size, max_ranges, now);
  if (decision.kind == RangeDecision::Kind::whole) return "whole";
  if (decision.kind == RangeDecision::Kind::unsatisfiable) return "416";
  std::string shown;
  for (const auto& range : decision.ranges)
    shown += (shown.empty() ? "" : " ") + std::to_string(range.first) + "+" + std::to_string(range.length);
  return shown;
}

TEST(Range, Table) {
  const std::pair<const char*, const char*> rows[] = {
      {"bytes=0-0", "0+1"},
      {"bytes=0-9", "0+10"},
      {"bytes=10-", "10+90"},
      {"bytes=-10", "90+10"},
      {"bytes=-1000", "0+100"},
      {"bytes=0-1000", "0+100"},
      {"bytes=99-", "99+1"},
      {"bytes=100-", "416"},
      {"bytes=100-200", "416"},
      {"bytes=-0", "416"},
      {"bytes=0-0,200-300", "0+1"},
      {"bytes=200-300,-5", "95+5"},
      {"BYTES=0-9", "0+10"},
      {"bytes=0-9, 20-29", "0+10 20+10"},
      {"bytes= 0-9 ,, 20-29 ,", "0+10 20+10"},
      {"bytes=20-29,0-9", "20+10 0+10"},  // in the order asked
      {"bytes=0-9,5-14", "0+15"},         // overlapping
      {"bytes=0-9,10-19", "0+20"},        // adjacent
      {"bytes=50-59,0-9,55-64", "50+15 0+10"},
      {"bytes=0-,0-,0-,0-", "0+100"},
      {"bytes=0-18446744073709551615", "0+100"},
      {"bytes=0-18446744073709551616", "0+100"},  // past 64 bits
      {"bytes=99999999999999999999-", "416"},
      {"bytes=-99999999999999999999", "0+100"},
      // Malformed: as if it were not there.
      {"bytes=5-2", "whole"},
      {"bytes=0-9,5-2", "whole"},
      {"bytes=", "whole"},
      {"bytes=,", "whole"},
      {"bytes=-", "whole"},
      {"bytes=--1", "whole"},
      {"bytes=a-b", "whole"},
      {"bytes=0-9x", "whole"},
      {"bytes=0x1-9", "whole"},
      {"bytes=+1-9", "whole"},
      {"bytes=1", "whole"},
      {"bytes=0 - 9", "whole"},
      {"bytes =0-9", "whole"},
      {"bytes:0-9", "whole"},
      {"lines=0-9", "whole"},
      {"", "whole"},
  };
  for (const auto& [value, expected] : rows) EXPECT_EQ(decided({{"Range", value}}), expected) << value;
}

TEST(Range, OnlyForGet) {
  EXPECT_EQ(decided({}), "whole");
  EXPECT_EQ(decided({{"Range", "bytes=0-9"}}, 100, 16, Method::head), "whole");
  EXPECT_EQ(decided({{"Range", "bytes=0-9"}}, 100, 16, Method::post), "whole");
}

TEST(Range, EmptyRepresentation) {
  EXPECT_EQ(decided({{"Range", "bytes=0-"}}, 0), "416");
  EXPECT_EQ(decided({{"Range", "bytes=-5"}}, 0), "416");
}

TEST(Range, SizesPast32Bits) {
  EXPECT_EQ(decided({{"Range", "bytes=5000000000-5000000009"}}, 6'000'000'000), "5000000000+10");
  EXPECT_EQ(decided({{"Range", "bytes=-1"}}, UINT64_MAX), "18446744073709551614+1");
  EXPECT_EQ(decided({{"Range", "bytes=0-18446744073709551613,5-"}}, UINT64_MAX), "0+18446744073709551615");
}

TEST(Range, ManyRangesAreOneWholeOrAFew) {
  std::string apart = "bytes=", overlapping = "bytes=";
  for (int i = 0; i < 1000; ++i) {
    apart += std::to_string(i * 2) + "-" + std::to_string(i * 2) + ",";
    overlapping += std::to_string(i) + "-,";
  }
  EXPECT_EQ(decided({{"Range", apart}}, 10'000), "whole");  // CVE-2011-3192
  EXPECT_EQ(decided({{"Range", overlapping}}, 10'000), "0+10000");
  EXPECT_EQ(decided({{"Range", "bytes=0-0,2-2"}}, 100, 2), "0+1 2+1");
  EXPECT_EQ(decided({{"Range", "bytes=0-0,2-2,4-4"}}, 100, 2), "whole");
}

TEST(Range, IfRange) {
  const auto with = [](std::string_view value, const Validators& validators = kValidators, std::int64_t now = kNow) {
    return decided({{"Range", "bytes=0-9"}, {"If-Range", value}}, 100, 16, Method::get, validators, now);
  };
  EXPECT_EQ(with("\"a\""), "0+10");
  EXPECT_EQ(with("\"b\""), "whole");
  EXPECT_EQ(with("W/\"a\""), "whole");  // strong comparison
  EXPECT_EQ(with("W/\"a\"", {.etag = "W/\"a\"", .last_modified = {}}), "whole");
  EXPECT_EQ(with("\"a\"", {}), "whole");
  EXPECT_EQ(with("\"a\", \"b\""), "whole");
  EXPECT_EQ(with("Sun, 06 Nov 1994 08:49:37 GMT"), "0+10");
  EXPECT_EQ(with("Sun, 06 Nov 1994 08:49:38 GMT"), "whole");  // exactly that date
  EXPECT_EQ(with("Sun, 06 Nov 1994 08:49:36 GMT"), "whole");
  EXPECT_EQ(with("Sun, 06 Nov 1994 08:49:37 GMT", kValidators, kModified), "whole");  // its second is not over
  EXPECT_EQ(with("Sun, 06 Nov 1994 08:49:37 GMT", kValidators, kModified + 1), "0+10");
  EXPECT_EQ(with("Sun, 06 Nov 1994 08:49:37 GMT", {.etag = "\"a\"", .last_modified = {}}), "whole");
  EXPECT_EQ(with("junk"), "whole");
  EXPECT_EQ(decided({{"If-Range", "\"b\""}}), "whole");
}

}  // namespace
}  // namespace fivefold::http
