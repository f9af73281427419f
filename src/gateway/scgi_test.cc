#include "gateway/scgi.h"

#include <gtest/gtest.h>

namespace fivefold::gateway {
namespace {

using namespace std::string_literals;

process::StringBlock environment(std::initializer_list<std::string_view> strings) {
  process::StringBlock block;
  for (const auto text : strings) block.add(text);
  return block;
}

TEST(Scgi, ByteByByte) {
  EXPECT_EQ(scgi_request(environment({"REQUEST_METHOD=POST", "REQUEST_URI=/deepthought"}), 27),
            "70:CONTENT_LENGTH\00027\0SCGI\0001\0REQUEST_METHOD\0POST\0REQUEST_URI\0/deepthought\0,"s);
}

TEST(Scgi, LengthComesFirstAndOnce) {
  EXPECT_EQ(scgi_request(environment({"A=b=c", "SCGI=9", "CONTENT_LENGTH=5", "E="}), 0),
            "33:CONTENT_LENGTH\0000\0SCGI\0001\0A\0b=c\0E\0\0,"s);
}

TEST(Uwsgi, ByteByByte) {
  EXPECT_EQ(uwsgi_request(environment({"A=1", "QUERY_STRING=", "=nameless"})).value(),
            "\0\26\0\0\1\0A\1\0001\14\0QUERY_STRING\0\0"s);
}

TEST(Uwsgi, NothingIsAPacketToo) { EXPECT_EQ(uwsgi_request(environment({})).value(), "\0\0\0\0"s); }

TEST(Uwsgi, FullToTheLastByteAndNoFurther) {
  const auto with = [](std::size_t size) { return uwsgi_request(environment({"A=1", "B=" + std::string(size, 'v')})); };
  const std::size_t most = 65535 - 6 - 5;
  const auto full = with(most);
  ASSERT_TRUE(full);
  EXPECT_EQ(full->substr(0, 4), "\0\xff\xff\0"s);
  EXPECT_EQ(full->size(), 4u + 65535);
  const auto over = with(most + 1);
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, Code::header_too_large);
  EXPECT_NE(over.error().message.find("65535 bytes"), std::string::npos);
}

// A length of 16 bits that wrapped round would make what follows it variables of the client's choosing.
TEST(Uwsgi, LongValuesNeverWrapRound) {
  for (const std::size_t size : {65536u, 65537u, 131072u, 1u << 20})
    EXPECT_FALSE(uwsgi_request(environment({"A=" + std::string(size, 'v'), "B=2"})));
  EXPECT_FALSE(uwsgi_request(environment({std::string(70000, 'N') + "=1"})));
}

}  // namespace
}  // namespace fivefold::gateway
