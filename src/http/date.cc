#include "http/date.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "base/text.h"

namespace fivefold::http {
namespace {

using std::chrono::days;
using std::chrono::sys_days;

constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};
constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
constexpr std::int64_t kFirst = -62167219200;  // 0000-01-01
constexpr std::int64_t kLast = 253402300799;   // 9999-12-31 23:59:59: four digits of year

void put_two(char* to, unsigned number) {
  to[0] = static_cast<char>('0' + number / 10);
  to[1] = static_cast<char>('0' + number % 10);
}

// Takes text off the front, piece by piece; once a piece does not fit, everything after fails too.
class Pieces {
 public:
  explicit Pieces(std::string_view text) : rest_(text) {}

  void literal(std::string_view text) {
    if (rest_.starts_with(text))
      rest_.remove_prefix(text.size());
    else
      good_ = false;
  }
  int number(std::size_t digits) {
    int value = 0;
    if (rest_.size() < digits) good_ = false;
    for (std::size_t i = 0; good_ && i < digits; ++i) {
      if (!is_digit(rest_[i])) good_ = false;
      value = value * 10 + (rest_[i] - '0');
    }
    if (good_) rest_.remove_prefix(digits);
    return value;
  }
  int day_of_month_padded() {
    if (!rest_.starts_with(' ')) return number(2);
    rest_.remove_prefix(1);
    return number(1);
  }
  unsigned month() {
    const auto at = rest_.size() < 3 ? std::string_view::npos : kMonths.find(rest_.substr(0, 3));
    if (at == std::string_view::npos || at % 3 != 0) {
      good_ = false;
      return 1;
    }
    rest_.remove_prefix(3);
    return static_cast<unsigned>(at / 3 + 1);
  }
  // A day's name, whole or its first three letters. Whether it is that date's day is not asked: senders get it wrong.
  void day_name(bool whole) {
    for (const auto day : kDays) {
      const auto name = whole ? day : day.substr(0, 3);
      if (rest_.starts_with(name)) return rest_.remove_prefix(name.size());
    }
    good_ = false;
  }
  std::int64_t time() {
    const int hour = number(2);
    literal(":");
    const int minute = number(2);
    literal(":");
    const int second = number(2);
    if (hour > 23 || minute > 59 || second > 60) good_ = false;  // 60: a leap second
    return hour * 3600 + minute * 60 + second;
  }
  bool good() const { return good_; }
  bool finished() const { return good_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool good_ = true;
};

std::optional<std::int64_t> seconds_of(int year, unsigned month, int day, std::int64_t time) {
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  return static_cast<std::int64_t>(sys_days(date).time_since_epoch().count()) * 86400 + time;
}

std::optional<std::int64_t> parse_imf_fixdate(std::string_view text) {
  Pieces pieces(text);
  pieces.day_name(false);
  pieces.literal(", ");
  const int day = pieces.number(2);
  pieces.literal(" ");
  const unsigned month = pieces.month();
  pieces.literal(" ");
  const int year = pieces.number(4);
  pieces.literal(" ");
  const auto time = pieces.time();
  pieces.literal(" GMT");
  return pieces.finished() ? seconds_of(year, month, day, time) : std::nullopt;
}

std::optional<std::int64_t> parse_rfc850(std::string_view text, std::int64_t now) {
  Pieces pieces(text);
  pieces.day_name(true);
  pieces.literal(", ");
  const int day = pieces.number(2);
  pieces.literal("-");
  const unsigned month = pieces.month();
  pieces.literal("-");
  const int two_digits = pieces.number(2);
  pieces.literal(" ");
  const auto time = pieces.time();
  pieces.literal(" GMT");
  if (!pieces.finished()) return std::nullopt;
  const auto today =
      std::chrono::floor<days>(std::chrono::sys_seconds(std::chrono::seconds(std::clamp(now, kFirst, kLast))));
  const int this_year = static_cast<int>(std::chrono::year_month_day(today).year());
  int year = this_year - this_year % 100 + two_digits;
  // RFC 9110 section 5.6.7: what seems more than 50 years ahead lies in the past.
  if (year > this_year + 50) year -= 100;
  return seconds_of(year, month, day, time);
}

std::optional<std::int64_t> parse_asctime(std::string_view text) {
  Pieces pieces(text);
  pieces.day_name(false);
  pieces.literal(" ");
  const unsigned month = pieces.month();
  pieces.literal(" ");
  const int day = pieces.day_of_month_padded();
  pieces.literal(" ");
  const auto time = pieces.time();
  pieces.literal(" ");
  const int year = pieces.number(4);
  return pieces.finished() ? seconds_of(year, month, day, time) : std::nullopt;
}

}  // namespace

std::string format_date(std::int64_t unix_seconds) {
  unix_seconds = std::clamp(unix_seconds, kFirst, kLast);
  const std::chrono::sys_seconds instant{std::chrono::seconds(unix_seconds)};
  const auto day = std::chrono::floor<days>(instant);
  const std::chrono::year_month_day date(day);
  const auto time = static_cast<unsigned>((instant - day).count());
  const auto year = static_cast<unsigned>(static_cast<int>(date.year()));
  std::string text = "Sun, 00 Jan 0000 00:00:00 GMT";
  char* const to = text.data();
  kDays[std::chrono::weekday(day).c_encoding()].copy(to, 3);
  put_two(to + 5, static_cast<unsigned>(date.day()));
  kMonths.substr((static_cast<unsigned>(date.month()) - 1) * 3, 3).copy(to + 8, 3);
  put_two(to + 12, year / 100);
  put_two(to + 14, year % 100);
  put_two(to + 17, time / 3600);
  put_two(to + 20, time / 60 % 60);
  put_two(to + 23, time % 60);
  return text;
}

std::optional<std::int64_t> parse_date(std::string_view text, std::int64_t now) {
  if (text.size() > 3 && text[3] == ',') return parse_imf_fixdate(text);
  if (text.find(',') != std::string_view::npos) return parse_rfc850(text, now);
  return parse_asctime(text);
}

}  // namespace fivefold::http
