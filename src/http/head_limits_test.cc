// Every limit on a request head: what just fits, what is one byte over, and that the answer comes before the head is
// whole.
#include <gtest/gtest.h>

#include "http/head_testing.h"

namespace fivefold::http {
namespace {

std::string line_of(std::size_t size) {  // a request line of that many bytes
  return "GET /" + std::string(size - 14, 'a') + " HTTP/1.1";
}
std::string field_of(std::size_t size) { return "X: " + std::string(size - 3, 'a'); }
const std::string kHost = "\r\nHost: a\r\n";

TEST(HeadLimits, Defaults) {
  const HeadLimits limits;
  EXPECT_EQ(limits.line, 8192U);
  EXPECT_EQ(limits.head, 32768U);
  EXPECT_EQ(limits.fields, 100U);
  EXPECT_EQ(limits.field, 8192U);
}

TEST(HeadLimits, RequestLine) {
  const HeadLimits limits{.line = 100};
  EXPECT_EQ(verdict(line_of(100) + kHost + "\r\n", limits), "ok");
  EXPECT_EQ(verdict(line_of(101) + kHost + "\r\n", limits), "414");
  EXPECT_EQ(verdict(line_of(100), limits), "incomplete");
  EXPECT_EQ(verdict(line_of(101), limits), "414");  // before its end has come
  EXPECT_EQ(verdict(std::string(101, 'A'), limits), "414");
  EXPECT_EQ(verdict(std::string(100, 'A') + "\x01", limits), "400");
  EXPECT_EQ(verdict(std::string(101, 'A') + "\x01", limits), "414");
}

TEST(HeadLimits, RequestLinesOfTheWorld) {
  Head head;
  EXPECT_EQ(verdict_of(HeadParser({}).parse(line_of(8000) + kHost + "\r\n", head)), "ok");
  EXPECT_EQ(verdict_of(HeadParser({}).parse(line_of(100 * 1024) + kHost + "\r\n", head)), "414");
}

TEST(HeadLimits, OneField) {
  const HeadLimits limits{.field = 100};
  EXPECT_EQ(verdict(line_of(40) + kHost + field_of(100) + "\r\n\r\n", limits), "ok");
  EXPECT_EQ(verdict(line_of(40) + kHost + field_of(101) + "\r\n\r\n", limits), "431");
  EXPECT_EQ(verdict(line_of(40) + kHost + field_of(101), limits), "431");
  EXPECT_EQ(verdict(line_of(40) + kHost + std::string(101, 'N'), limits), "431");  // a name without an end
  EXPECT_EQ(verdict(line_of(101) + kHost + "\r\n", limits), "ok");                 // not the request line's limit
}

TEST(HeadLimits, FieldsOfTheWorld) {
  Head head;
  const auto host_of = [](std::size_t size) {
    return "GET / HTTP/1.1\r\nHost: " + std::string(size, 'a') + "\r\n\r\n";
  };
  EXPECT_EQ(verdict_of(HeadParser({}).parse(host_of(255), head)), "ok");
  EXPECT_EQ(verdict_of(HeadParser({}).parse(host_of(256), head)), "400");
  EXPECT_EQ(verdict_of(HeadParser({}).parse(host_of(10'000), head)), "431");
  EXPECT_EQ(verdict_of(HeadParser({}).parse("GET / HTTP/1.1\r\nX: " + std::string(100'000, 'a'), head)), "431");
}

TEST(HeadLimits, NumberOfFields) {
  const auto with_fields = [](int count) {
    std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (int i = 1; i < count; ++i) bytes += "X: " + std::to_string(i) + "\r\n";
    return bytes + "\r\n";
  };
  EXPECT_EQ(verdict(with_fields(100)), "ok");
  EXPECT_EQ(verdict(with_fields(101)), "431");
  Head head;
  EXPECT_EQ(verdict_of(HeadParser({}).parse(with_fields(10'000), head)), "431");
}

TEST(HeadLimits, WholeHead) {
  const std::string bytes = line_of(40) + kHost + "\r\n";
  EXPECT_EQ(verdict(bytes, {.head = bytes.size()}), "ok");
  EXPECT_EQ(verdict(bytes, {.head = bytes.size() - 1}), "431");
  EXPECT_EQ(verdict(bytes + "a body of any size", {.head = bytes.size()}), "ok");
  EXPECT_EQ(verdict(line_of(40) + kHost + "A: b\r\nC: d", {.head = 55}), "431");  // before its end has come
}

// What was looked at once is not looked at again until the head is whole: otherwise a head that dribbles in costs the
// square of its size. Seen here by spoiling, against the contract, what came before.
TEST(HeadLimits, ByteByByteCostsLinearTime) {
  for (const std::string& before : {std::string(), line_of(40) + kHost}) {
    std::string bytes = before + std::string(8000, 'a');
    HeadParser parser({});
    Head head;
    for (std::size_t size = before.size() + 1; size <= bytes.size(); ++size) {
      ASSERT_EQ(verdict_of(parser.parse(std::string_view(bytes).substr(0, size), head)), "incomplete");
      bytes[size - 1] = '\x01';
    }
    parser.reset();
    EXPECT_EQ(verdict_of(parser.parse(bytes, head)), "400");
  }
}

}  // namespace
}  // namespace fivefold::http
