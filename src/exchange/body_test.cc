#include "exchange/body.h"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace fivefold::exchange {
namespace {

net::Task<void> collect(Body& body, std::size_t limit, Result<std::string>& out) {
  out = co_await read_all(body, limit);
}

Result<std::string> read(Body body, std::size_t limit = 1 << 20) {
  Result<std::string> out;
  net::Running running(collect(body, limit, out));
  EXPECT_TRUE(running.done());
  return out;
}

TEST(Body, EmptyHasLengthZero) {
  EXPECT_EQ(Body().length(), 0u);
  EXPECT_EQ(read(Body()).value(), "");
}

TEST(Body, TextIsReadOnce) {
  EXPECT_EQ(Body::text("hello").length(), 5u);
  EXPECT_EQ(read(Body::text("hello")).value(), "hello");
}

TEST(Body, FileSegmentIsReadFromItsOffset) {
  char path[] = "/tmp/body_test_XXXXXX";
  const int fd = ::mkstemp(path);
  ::unlink(path);
  ASSERT_EQ(::write(fd, "0123456789", 10), 10);
  EXPECT_EQ(read(Body::file({nullptr, fd, 3, 4})).value(), "3456");
  const auto truncated = read(Body::file({nullptr, fd, 3, 100}));
  ASSERT_FALSE(truncated.has_value());
  EXPECT_EQ(truncated.error().code, Code::internal);
  ::close(fd);
}

TEST(Body, PastTheLimitIsAnError) {
  const auto result = read(Body::text("too long"), 3);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, Code::content_too_large);
}

}  // namespace
}  // namespace fivefold::exchange
