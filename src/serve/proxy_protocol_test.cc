#include "serve/proxy_protocol.h"

#include <gtest/gtest.h>

namespace fivefold::serve {
namespace {

using namespace std::string_literals;
const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;

TEST(ProxyProtocol, Version1NamesTheClient) {
  const std::string line = "PROXY TCP4 192.0.2.1 198.51.100.2 51000 443\r\n";
  const auto header = parse_proxy_header(line + "GET / HTTP/1.1\r\n");
  ASSERT_TRUE(header);
  EXPECT_EQ(header->consumed, line.size());
  EXPECT_TRUE(header->known);
  EXPECT_EQ(header->source_address, "192.0.2.1");
  EXPECT_EQ(header->source_port, 51000);
  EXPECT_EQ(header->destination_port, 443);
}

TEST(ProxyProtocol, Version2NamesTheClientAndSkipsExtensions) {
  const std::string bytes =
      kSignature + "\x21\x11\x00\x0f\xc0\x00\x02\x01\xc6\x33\x64\x02\xc7\x38\x01\xbb\x04\x00\x00"s;
  const auto header = parse_proxy_header(bytes + "GET");
  ASSERT_TRUE(header);
  EXPECT_EQ(header->consumed, bytes.size());
  EXPECT_EQ(header->source_address, "192.0.2.1");
  EXPECT_EQ(header->source_port, 51000);
}

TEST(ProxyProtocol, LocalAndUnknownKeepTheConnectionsOwnAddresses) {
  EXPECT_FALSE(parse_proxy_header("PROXY UNKNOWN\r\n")->known);
  EXPECT_FALSE(parse_proxy_header(kSignature + "\x20\x00\x00\x00"s)->known);
}

TEST(ProxyProtocol, EveryProperPrefixAsksForMore) {
  for (const std::string& whole : {"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n"s,
                                   kSignature + "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\xc7\x38\x01\xbb"s}) {
    for (std::size_t i = 0; i < whole.size(); ++i) {
      const auto header = parse_proxy_header(std::string_view(whole).substr(0, i));
      ASSERT_TRUE(header) << i;
      EXPECT_EQ(header->consumed, 0u) << i;
    }
    EXPECT_EQ(parse_proxy_header(whole)->consumed, whole.size());
  }
}

TEST(ProxyProtocol, AnythingElseIsRefused) {
  for (const std::string& bytes :
       {"GET / HTTP/1.1\r\n"s, "PROXY TCP4 1.2.3.4 5.6.7.8 99999 80\r\n"s, "PROXY TCP4 x 5.6.7.8 1 80\r\n"s,
        "PROXY TCP4 1.2.3.4\r\n"s, "PROXY TCP4 1.2.3.4 5.6.7.8 01 80\r\n"s, "PROXY "s + std::string(200, 'x'),
        kSignature + "\x31\x11\x00\x0c"s + std::string(12, 'x'), kSignature + "\x21\x11\xff\xff"s,
        kSignature + "\x21\x11\x00\x04\x00\x00\x00\x00"s})
    EXPECT_FALSE(parse_proxy_header(bytes)) << bytes;
}

}  // namespace
}  // namespace fivefold::serve
