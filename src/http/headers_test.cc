#include "http/headers.h"

#include <gtest/gtest.h>

namespace fivefold::http {
namespace {

using namespace std::string_literals;

TEST(Headers, AreKeptInWireFormInOrder) {
  Headers headers;
  EXPECT_TRUE(headers.empty());
  EXPECT_TRUE(headers.add("Content-Type", "text/html"));
  EXPECT_TRUE(headers.add("Set-Cookie", "a=1"));
  EXPECT_TRUE(headers.add("set-cookie", "b=2"));
  EXPECT_TRUE(headers.add("X-Empty", ""));
  EXPECT_EQ(headers.wire(), "Content-Type: text/html\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nX-Empty: \r\n");
  std::string seen;
  headers.for_each(
      [&](std::string_view name, std::string_view value) { seen.append(name).append("=").append(value).append(";"); });
  EXPECT_EQ(seen, "Content-Type=text/html;Set-Cookie=a=1;set-cookie=b=2;X-Empty=;");
}

TEST(Headers, AreFoundWithoutCase) {
  Headers headers;
  headers.add("Set-Cookie", "a=1");
  headers.add("Set-Cookie", "b=2");
  headers.add("X-Empty", "");
  EXPECT_EQ(headers.get("SET-COOKIE"), "a=1");
  EXPECT_EQ(headers.get("x-empty"), "");
  EXPECT_TRUE(headers.has("x-empty"));
  EXPECT_EQ(headers.get("Set"), "");
  EXPECT_FALSE(headers.has("Cookie"));
  EXPECT_FALSE(headers.has(""));
}

TEST(Headers, SetReplacesAllOfThatName) {
  Headers headers;
  headers.add("A", "1");
  headers.add("B", "2");
  headers.add("a", "3");
  EXPECT_TRUE(headers.set("A", "4"));
  EXPECT_EQ(headers.wire(), "B: 2\r\nA: 4\r\n");
  headers.remove("b");
  EXPECT_EQ(headers.wire(), "A: 4\r\n");
  headers.remove("missing");
  headers.remove("");
  headers.remove("A");
  EXPECT_TRUE(headers.empty());
}

TEST(Headers, TakeValuesOutOfThemselves) {
  Headers headers;
  headers.add("A", "a value that is long enough to live on the heap");
  headers.add("B", "2");
  EXPECT_TRUE(headers.set("A", headers.get("A")));
  EXPECT_TRUE(headers.set("B", headers.get("A")));
  EXPECT_TRUE(headers.add("C", headers.get("B")));
  EXPECT_EQ(headers.get("C"), "a value that is long enough to live on the heap");
}

TEST(Headers, DropWhiteSpaceAroundAValue) {
  Headers headers;
  headers.add("A", " \tx y\t ");
  EXPECT_EQ(headers.wire(), "A: x y\r\n");
}

// CVE-2016-8743, CVE-2022-37436: nothing that could split a response gets in.
TEST(Headers, RefuseWhatCouldSplitAResponse) {
  const std::pair<std::string, std::string> rows[] = {
      {"", "x"},
      {"A B", "x"},
      {"A:", "x"},
      {"A\r\nB", "x"},
      {"A\n", "x"},
      {"A\0"s, "x"},
      {"\xe9", "x"},
      {"A\t", "x"},
      {"(A)", "x"},
      {"A", "x\r\nB: y"},
      {"A", "x\n"},
      {"A", "x\r"},
      {"A", "\0"s},
      {"A", "x\x01"},
      {"A", "x\x7f"},
      {"A", "x\x1b[0m"},
      {"A", std::string(100, 'x') + "\n"},
  };
  for (const auto& [name, value] : rows) {
    Headers headers;
    headers.add("Kept", "as it was");
    EXPECT_FALSE(headers.add(name, value)) << name << value;
    EXPECT_FALSE(headers.set(name, value)) << name << value;
    EXPECT_EQ(headers.wire(), "Kept: as it was\r\n");
  }
}

TEST(Headers, ARefusedSetLeavesTheOldValue) {
  Headers headers;
  headers.add("A", "1");
  EXPECT_FALSE(headers.set("A", "2\n"));
  EXPECT_EQ(headers.get("A"), "1");
}

TEST(Headers, TakeTabsAndObsText) {
  Headers headers;
  EXPECT_TRUE(headers.add("A", "x\ty \x80\xff"));
  EXPECT_EQ(headers.get("A"), "x\ty \x80\xff");
}

// Controls are searched for in blocks of sixteen: one at any place of a text of any length is found.
TEST(Headers, EveryControlAtEveryPlaceIsFound) {
  for (std::size_t size = 1; size <= 40; ++size)
    for (std::size_t place = 0; place < size; ++place)
      for (const char control : {'\0', '\n', '\r', '\x1f', '\x7f'}) {
        std::string value(size, '\xff');
        EXPECT_TRUE(is_field_value(value));
        value[place] = control;
        EXPECT_FALSE(is_field_value(value)) << size << " " << place;
      }
}

TEST(Token, Octets) {
  EXPECT_TRUE(is_token("!#$%&'*+-.^_`|~09AZaz"));
  EXPECT_FALSE(is_token(""));
  for (const char c : "()<>@,;:\\\"/[]?={} \t\x7f\x80"s) EXPECT_FALSE(is_token(std::string(1, c))) << c;
}

}  // namespace
}  // namespace fivefold::http
