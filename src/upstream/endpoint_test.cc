#include "upstream/endpoint.h"

#include <gtest/gtest.h>

namespace fivefold::upstream {
namespace {

TEST(Endpoint, ReadsWhatItWrites) {
  for (const std::string text : {"127.0.0.1:9000", "[::1]:9000", "app.internal:80", "unix:/run/x.sock", "unix:@name",
                                 "https://example.org:8443"}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_TRUE(endpoint) << text << ": " << endpoint.error().message;
    EXPECT_EQ(endpoint->text(), text);
  }
}

TEST(Endpoint, SchemesHavePorts) {
  EXPECT_EQ(parse_endpoint("https://example.org")->port, 443);
  EXPECT_EQ(parse_endpoint("http://example.org")->text(), "example.org:80");
  EXPECT_TRUE(parse_endpoint("https://[2001:db8::1]")->tls);
}

TEST(Endpoint, SaysWhatIsWrong) {
  for (const std::string text : {"", "host", "host:", ":80", "host:0", "host:65536", "host:8x", "::1:80", "[::1",
                                 "[::1]80", "http://a/b:80", "unix:x", "a b:1"})
    EXPECT_FALSE(parse_endpoint(text)) << text;
  EXPECT_FALSE(parse_endpoint("unix:/" + std::string(107, 'x')));
}

}  // namespace
}  // namespace fivefold::upstream
