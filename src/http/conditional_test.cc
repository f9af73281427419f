// RFC 9110 section 13: which preconditions hold, for whom, and in what order.
#include "http/conditional.h"

#include <gtest/gtest.h>

#include <string>

#include "http/entity_tag.h"

namespace fivefold::http {
namespace {

constexpr std::int64_t kModified = 784111777;  // Sun, 06 Nov 1994 08:49:37 GMT
constexpr std::int64_t kNow = 1767225600;
constexpr const char* kBefore = "Sun, 06 Nov 1994 08:49:36 GMT";
constexpr const char* kSame = "Sun, 06 Nov 1994 08:49:37 GMT";
constexpr const char* kAfter = "Sun, 06 Nov 1994 08:49:38 GMT";

struct Row {
  Method method;
  std::vector<Field> fields;
  Validators validators;
  std::string_view expected;
};

std::string_view outcome(const Row& row) {
  Head head;
  head.method = row.method;
  head.fields = row.fields;
  switch (evaluate(head, row.validators, kNow)) {
    case Condition::proceed:
      return "200";
    case Condition::not_modified:
      return "304";
    case Condition::precondition_failed:
      return "412";
  }
  return "";
}

void check(std::initializer_list<Row> rows) {
  for (const Row& row : rows) {
    std::string shown;
    for (const Field& field : row.fields) shown += std::string(field.name) + ": " + std::string(field.value) + "\n";
    EXPECT_EQ(outcome(row), row.expected) << shown;
  }
}

const Validators kBoth{.etag = "\"a\"", .last_modified = kModified};
const Validators kWeak{.etag = "W/\"a\"", .last_modified = kModified};
const Validators kDateOnly{.etag = {}, .last_modified = kModified};
const Validators kNone{};
constexpr Method kGet = Method::get;
constexpr Method kHead = Method::head;
constexpr Method kPut = Method::put;

TEST(Conditional, IfNoneMatch) {
  check({
      {kGet, {}, kBoth, "200"},
      {kGet, {{"If-None-Match", "\"a\""}}, kBoth, "304"},
      {kHead, {{"If-None-Match", "\"a\""}}, kBoth, "304"},
      {kPut, {{"If-None-Match", "\"a\""}}, kBoth, "412"},
      {kGet, {{"if-none-match", "\"a\""}}, kBoth, "304"},
      {kGet, {{"If-None-Match", "\"b\""}}, kBoth, "200"},
      {kGet, {{"If-None-Match", "W/\"a\""}}, kBoth, "304"},  // weak comparison
      {kGet, {{"If-None-Match", "\"a\""}}, kWeak, "304"},
      {kGet, {{"If-None-Match", "W/\"a\""}}, kWeak, "304"},
      {kGet, {{"If-None-Match", "\"x\", \"a\""}}, kBoth, "304"},
      {kGet, {{"If-None-Match", "\"x\",W/\"y\" ,\t\"a\""}}, kBoth, "304"},
      {kGet, {{"If-None-Match", ",, \"a\" ,"}}, kBoth, "304"},
      {kGet, {{"If-None-Match", "\"x\""}, {"If-None-Match", "\"a\""}}, kBoth, "304"},
      {kGet, {{"If-None-Match", "*"}}, kBoth, "304"},
      {kGet, {{"If-None-Match", "*"}}, kNone, "304"},
      {kPut, {{"If-None-Match", "*"}}, kNone, "412"},
      {kGet, {{"If-None-Match", "a"}}, kBoth, "200"},
      {kGet, {{"If-None-Match", "w/\"a\""}}, kBoth, "200"},
      {kGet, {{"If-None-Match", ""}}, kBoth, "200"},
      {kGet, {{"If-None-Match", "\"a"}}, kBoth, "200"},
      {kGet, {{"If-None-Match", "\"\""}}, kNone, "200"},
      {kGet, {{"If-None-Match", "\"a\""}}, kDateOnly, "200"},
  });
}

TEST(Conditional, CommasInsideQuotesDoNotSeparate) {
  const Validators comma{.etag = "\"x,y\"", .last_modified = {}};
  check({
      {kGet, {{"If-None-Match", "\"x,y\""}}, comma, "304"},
      {kGet, {{"If-None-Match", "\"w\", \"x,y\""}}, comma, "304"},
      {kGet, {{"If-None-Match", "\"x,\"a\",y\""}}, kBoth, "200"},
      {kGet, {{"If-None-Match", "junk, \"a\""}}, kBoth, "304"},
      {kGet, {{"If-None-Match", "\"x\"junk, \"a\""}}, kBoth, "304"},
      {kGet, {{"If-None-Match", "\"a\"junk"}}, kBoth, "200"},
  });
}

TEST(Conditional, IfMatch) {
  check({
      {kPut, {{"If-Match", "\"a\""}}, kBoth, "200"},
      {kPut, {{"If-Match", "\"b\", \"a\""}}, kBoth, "200"},
      {kPut, {{"If-Match", "\"b\""}}, kBoth, "412"},
      {kGet, {{"If-Match", "\"b\""}}, kBoth, "412"},
      {kPut, {{"If-Match", "W/\"a\""}}, kBoth, "412"},  // strong comparison
      {kPut, {{"If-Match", "W/\"a\""}}, kWeak, "412"},
      {kPut, {{"If-Match", "\"a\""}}, kWeak, "412"},
      {kPut, {{"If-Match", "*"}}, kBoth, "200"},
      {kPut, {{"If-Match", "*"}}, kNone, "200"},
      {kPut, {{"If-Match", "\"a\""}}, kNone, "412"},
      {kPut, {{"If-Match", "junk"}}, kBoth, "412"},
  });
}

TEST(Conditional, Dates) {
  check({
      {kGet, {{"If-Modified-Since", kBefore}}, kBoth, "200"},
      {kGet, {{"If-Modified-Since", kSame}}, kBoth, "304"},
      {kGet, {{"If-Modified-Since", kAfter}}, kBoth, "304"},
      {kHead, {{"If-Modified-Since", kSame}}, kBoth, "304"},
      {kPut, {{"If-Modified-Since", kSame}}, kBoth, "200"},
      {kGet, {{"If-Modified-Since", "Sunday, 06-Nov-94 08:49:37 GMT"}}, kBoth, "304"},
      {kGet, {{"If-Modified-Since", "Sun Nov  6 08:49:37 1994"}}, kBoth, "304"},
      {kGet, {{"If-Modified-Since", "yesterday"}}, kBoth, "200"},
      {kGet, {{"If-Modified-Since", kSame}}, kNone, "200"},
      {kPut, {{"If-Unmodified-Since", kBefore}}, kBoth, "412"},
      {kPut, {{"If-Unmodified-Since", kSame}}, kBoth, "200"},
      {kPut, {{"If-Unmodified-Since", kAfter}}, kBoth, "200"},
      {kPut, {{"If-Unmodified-Since", "yesterday"}}, kBoth, "200"},
      {kPut, {{"If-Unmodified-Since", kBefore}}, kNone, "200"},
  });
}

TEST(Conditional, Precedence) {
  check({
      // If-None-Match beats If-Modified-Since, both ways.
      {kGet, {{"If-None-Match", "\"b\""}, {"If-Modified-Since", kSame}}, kBoth, "200"},
      {kGet, {{"If-None-Match", "\"a\""}, {"If-Modified-Since", kBefore}}, kBoth, "304"},
      // If-Match beats If-Unmodified-Since.
      {kPut, {{"If-Match", "\"a\""}, {"If-Unmodified-Since", kBefore}}, kBoth, "200"},
      {kPut, {{"If-Match", "\"b\""}, {"If-Unmodified-Since", kAfter}}, kBoth, "412"},
      // A failed precondition beats a matching cache.
      {kGet, {{"If-None-Match", "\"a\""}, {"If-Match", "\"b\""}}, kBoth, "412"},
      {kGet, {{"If-Match", "\"a\""}, {"If-None-Match", "\"a\""}}, kBoth, "304"},
      {kGet, {{"If-Unmodified-Since", kSame}, {"If-Modified-Since", kSame}}, kBoth, "304"},
  });
}

TEST(EntityTag, Form) {
  for (const char* tag : {"\"\"", "\"a\"", "W/\"a\"", "\"a,b\"", "\"\x80\"", "\"a'!\""})
    EXPECT_TRUE(is_entity_tag(tag)) << tag;
  for (const char* tag :
       {"", "\"", "a", "\"a", "a\"", "W/", "W/a", "w/\"a\"", "\"a\"b\"", "\"a b\"", "\"a\x7f\"", "W/W/\"a\""})
    EXPECT_FALSE(is_entity_tag(tag)) << tag;
}

TEST(EntityTag, Comparison) {
  // The table of RFC 9110 section 8.8.3.2.
  EXPECT_FALSE(strongly_equal("W/\"1\"", "W/\"1\""));
  EXPECT_TRUE(weakly_equal("W/\"1\"", "W/\"1\""));
  EXPECT_FALSE(strongly_equal("W/\"1\"", "W/\"2\""));
  EXPECT_FALSE(weakly_equal("W/\"1\"", "W/\"2\""));
  EXPECT_FALSE(strongly_equal("W/\"1\"", "\"1\""));
  EXPECT_TRUE(weakly_equal("W/\"1\"", "\"1\""));
  EXPECT_TRUE(strongly_equal("\"1\"", "\"1\""));
  EXPECT_TRUE(weakly_equal("\"1\"", "\"1\""));
  EXPECT_FALSE(strongly_equal("", ""));
  EXPECT_FALSE(weakly_equal("", ""));
}

}  // namespace
}  // namespace fivefold::http
