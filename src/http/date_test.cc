#include "http/date.h"

#include <gtest/gtest.h>

namespace fivefold::http {
namespace {

constexpr std::int64_t kExample = 784111777;  // the RFC's own example: 1994-11-06 08:49:37
constexpr std::int64_t kNow = 1767225600;     // 2026-01-01

TEST(Date, Format) {
  EXPECT_EQ(format_date(kExample), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(format_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(format_date(-1), "Wed, 31 Dec 1969 23:59:59 GMT");
  EXPECT_EQ(format_date(951782400), "Tue, 29 Feb 2000 00:00:00 GMT");
  EXPECT_EQ(format_date(4107542399), "Sun, 28 Feb 2100 23:59:59 GMT");
  EXPECT_EQ(format_date(253402300799), "Fri, 31 Dec 9999 23:59:59 GMT");
  EXPECT_EQ(format_date(INT64_MAX), "Fri, 31 Dec 9999 23:59:59 GMT");  // no year has five digits
  EXPECT_EQ(format_date(INT64_MIN), "Sat, 01 Jan 0000 00:00:00 GMT");
}

TEST(Date, Parse) {
  const std::pair<const char*, std::optional<std::int64_t>> rows[] = {
      {"Sun, 06 Nov 1994 08:49:37 GMT", kExample},
      {"Sunday, 06-Nov-94 08:49:37 GMT", kExample},
      {"Sun Nov  6 08:49:37 1994", kExample},
      {"Mon, 06 Nov 1994 08:49:37 GMT", kExample},  // a wrong day of the week is nobody's loss
      {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
      {"Wed, 31 Dec 1969 23:59:59 GMT", -1},
      {"Wed Nov 16 08:49:37 1994", kExample + 10 * 86400},
      {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800},  // a leap second
      {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
      {"Wed, 29 Feb 2100 00:00:00 GMT", std::nullopt},
      {"Sun, 31 Nov 1994 08:49:37 GMT", std::nullopt},
      {"Sun, 00 Nov 1994 08:49:37 GMT", std::nullopt},
      {"Sun, 06 Nov 1994 24:49:37 GMT", std::nullopt},
      {"Sun, 06 Nov 1994 08:60:37 GMT", std::nullopt},
      {"Sun, 06 Nov 1994 08:49:61 GMT", std::nullopt},
      {"Sun, 06 Nov 1994 08:49:37 UTC", std::nullopt},
      {"Sun, 06 Nov 1994 08:49:37 +0000", std::nullopt},
      {"Sun, 06 Nov 1994 08:49:37", std::nullopt},
      {"Sun, 6 Nov 1994 08:49:37 GMT", std::nullopt},
      {"Sun, 06 nov 1994 08:49:37 GMT", std::nullopt},
      {"Sun, 06 ovD 1994 08:49:37 GMT", std::nullopt},
      {"Son, 06 Nov 1994 08:49:37 GMT", std::nullopt},
      {"Sun, 06 Nov 1994 08:49:37 GMT ", std::nullopt},
      {"Sun, 06 Nov 19940 08:49:37 GMT", std::nullopt},
      {"Sun, 06 Nov -994 08:49:37 GMT", std::nullopt},
      {"Sun, 06-Nov-94 08:49:37 GMT", std::nullopt},
      {"784111777", std::nullopt},
      {"0", std::nullopt},
      {"-1", std::nullopt},
      {"", std::nullopt},
      {"Sun, ", std::nullopt},
  };
  for (const auto& [text, expected] : rows) EXPECT_EQ(parse_date(text, kNow), expected) << text;
}

TEST(Date, TwoDigitsOfYearAreAtMostFiftyYearsAhead) {
  const auto year_of = [](const char* text, std::int64_t now) {
    return format_date(*parse_date(text, now)).substr(12, 4);
  };
  EXPECT_EQ(year_of("Sunday, 06-Nov-25 08:49:37 GMT", kNow), "2025");
  EXPECT_EQ(year_of("Sunday, 06-Nov-76 08:49:37 GMT", kNow), "2076");
  EXPECT_EQ(year_of("Sunday, 06-Nov-77 08:49:37 GMT", kNow), "1977");
  EXPECT_EQ(year_of("Sunday, 06-Nov-99 08:49:37 GMT", kNow), "1999");
}

TEST(Date, EveryDayOfFourCenturiesComesBack) {
  for (std::int64_t day = -40000; day < 120000; day += 1) {
    const std::int64_t seconds = day * 86400 + (day * 7919) % 86400;
    ASSERT_EQ(parse_date(format_date(seconds), kNow), seconds) << format_date(seconds);
  }
}

}  // namespace
}  // namespace fivefold::http
