#include "base/text.h"

#include <gtest/gtest.h>

#include <vector>

namespace fivefold {
namespace {

using namespace std::string_literals;

TEST(Text, CaseIsThatOfAsciiAlone) {
  EXPECT_EQ(to_lower("AZaz09[@`{\xc3\x84"), "azaz09[@`{\xc3\x84");
  EXPECT_EQ(ascii_upper('a'), 'A');
  EXPECT_EQ(ascii_upper('{'), '{');
  EXPECT_TRUE(equals_ignoring_case("Content-Type", "CONTENT-type"));
  EXPECT_FALSE(equals_ignoring_case("a", "ab"));
  EXPECT_FALSE(equals_ignoring_case("@", "`"));
  EXPECT_FALSE(equals_ignoring_case("\xc4", "\xe4"));
  EXPECT_TRUE(equals_ignoring_case("", ""));
}

TEST(Text, Trim) {
  EXPECT_EQ(trim(" \t a b\t "), "a b");
  EXPECT_EQ(trim(" \t "), "");
  EXPECT_EQ(trim(""), "");
  EXPECT_EQ(trim("\r\na\n"), "\r\na\n");  // line ends are not white space here
}

TEST(Text, ParseDecimal) {
  const std::pair<const char*, std::optional<std::uint64_t>> rows[] = {
      {"0", 0U},
      {"42", 42U},
      {"007", 7U},
      {"18446744073709551615", UINT64_MAX},
      {"18446744073709551616", std::nullopt},
      {"99999999999999999999999", std::nullopt},
      {"", std::nullopt},
      {" 1", std::nullopt},
      {"1 ", std::nullopt},
      {"+1", std::nullopt},
      {"-1", std::nullopt},
      {"0x1", std::nullopt},
      {"1.0", std::nullopt},
      {"1a", std::nullopt},
  };
  for (const auto& [text, expected] : rows) EXPECT_EQ(parse_decimal(text), expected) << text;
}

TEST(Text, ListItems) {
  const auto items = [](std::string_view list) {
    std::vector<std::string> found;
    for_each_list_item(list, [&](std::string_view item) { found.emplace_back(item); });
    return found;
  };
  using List = std::vector<std::string>;
  EXPECT_EQ(items("a, b\t,c"), (List{"a", "b", "c"}));
  EXPECT_EQ(items(",, a ,,b,"), (List{"a", "b"}));
  EXPECT_EQ(items("a b"), (List{"a b"}));
  EXPECT_EQ(items(""), List{});
  EXPECT_EQ(items(" , "), List{});
}

TEST(Text, HtmlEscape) {
  EXPECT_EQ(html_escape("<a href=\"x\">'&'</a>"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
  EXPECT_EQ(html_escape("plain caf\xc3\xa9"), "plain caf\xc3\xa9");
}

TEST(Text, PercentEncodePath) {
  EXPECT_EQ(percent_encode_path("/a-b_c.d~e/F9"), "/a-b_c.d~e/F9");
  EXPECT_EQ(percent_encode_path("/a b?c#d%e"), "/a%20b%3Fc%23d%25e");
  EXPECT_EQ(percent_encode_path("\xc3\xa9\0\n"s), "%C3%A9%00%0A");
  EXPECT_EQ(percent_encode_path("<\"'&;:@+>"), "%3C%22%27%26%3B%3A%40%2B%3E");
}

TEST(Text, Printable) {
  EXPECT_EQ(printable("a b~"), "a b~");
  EXPECT_EQ(printable("a\r\n\x1b\x7f\xff\0"s), "a\\x0d\\x0a\\x1b\\x7f\\xff\\x00");
  EXPECT_EQ(printable("abcdef", 3), "abc...");
  EXPECT_EQ(printable("abc", 3), "abc");
  EXPECT_EQ(printable(std::string(200, 'x')), std::string(80, 'x') + "...");
}

TEST(Text, EditDistance) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("abc", ""), 3U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("listen", "lisen"), 1U);
  EXPECT_EQ(edit_distance("listen", "listne"), 2U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("same", "same"), 0U);
}

}  // namespace
}  // namespace fivefold
