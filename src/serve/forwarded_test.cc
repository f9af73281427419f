#include "serve/forwarded.h"

#include <gtest/gtest.h>

namespace fivefold::serve {
namespace {

exchange::Peer seen(const std::string& peer_address, std::vector<http::Field> fields,
                    std::vector<std::string> trusted) {
  auto config = std::make_shared<config::Config>();
  config->server.trusted = std::move(trusted);
  const Site site(config, {});
  http::Head head;
  head.fields = std::move(fields);
  exchange::Peer peer;
  peer.address = peer_address;
  return client_behind(peer, head, site);
}

TEST(Forwarded, AStrangerIsNotBelieved) {
  EXPECT_EQ(seen("203.0.113.9", {{"X-Forwarded-For", "1.2.3.4"}}, {"10.0.0.0/8"}).address, "203.0.113.9");
}

TEST(Forwarded, TheRightmostAddressThatIsNotTrustedIsTheClient) {
  const std::vector<std::string> trusted{"10.0.0.0/8"};
  EXPECT_EQ(seen("10.0.0.1", {{"X-Forwarded-For", "6.6.6.6, 1.2.3.4, 10.0.0.2"}}, trusted).address, "1.2.3.4");
  EXPECT_EQ(seen("10.0.0.1", {{"X-Forwarded-For", "6.6.6.6"}, {"X-Forwarded-For", "1.2.3.4"}}, trusted).address,
            "1.2.3.4");
  EXPECT_EQ(seen("10.0.0.1", {{"X-Forwarded-For", "not an address"}}, trusted).address, "10.0.0.1");
}

TEST(Forwarded, TheStandardHeaderIsReadAndGoesFirst) {
  const auto client =
      seen("10.0.0.1", {{"Forwarded", "for=\"[2001:db8::7]:4711\";proto=https"}, {"X-Forwarded-For", "6.6.6.6"}},
           {"10.0.0.1"});
  EXPECT_EQ(client.address, "2001:db8::7");
  EXPECT_TRUE(client.secure);
}

TEST(Forwarded, TheProtocolIsTakenFromATrustedProxy) {
  EXPECT_TRUE(seen("10.0.0.1", {{"X-Forwarded-For", "1.2.3.4"}, {"X-Forwarded-Proto", "https"}}, {"10.0.0.1"}).secure);
  EXPECT_TRUE(seen("10.0.0.1", {{"X-Forwarded-Proto", "https"}}, {"10.0.0.1"}).secure);
  EXPECT_FALSE(seen("10.0.0.9", {{"X-Forwarded-Proto", "https"}}, {"10.0.0.1"}).secure);
}

TEST(Forwarded, TheHostIsTakenFromATrustedProxy) {
  const std::vector<std::string> trusted{"10.0.0.0/8"};
  EXPECT_EQ(seen("10.0.0.1", {{"X-Forwarded-For", "1.2.3.4"}, {"X-Forwarded-Host", "shop.example:8443"}}, trusted)
                .forwarded_host,
            "shop.example:8443");
  EXPECT_EQ(seen("10.0.0.1", {{"X-Forwarded-Host", "shop.example"}}, trusted).forwarded_host, "shop.example");
  EXPECT_EQ(
      seen("10.0.0.1", {{"Forwarded", "for=1.2.3.4;host=\"shop.example:81\";proto=https"}}, trusted).forwarded_host,
      "shop.example:81");
  EXPECT_EQ(seen("192.0.2.1", {{"X-Forwarded-Host", "shop.example"}}, trusted).forwarded_host, "");
  EXPECT_EQ(seen("10.0.0.1", {{"X-Forwarded-For", "1.2.3.4"}}, trusted).forwarded_host, "");
}

TEST(Forwarded, AHostThatIsNoneIsNotBelieved) {
  for (const char* host : {"a b", "user@shop.example", "shop.example/path", "shop.example:99999", "\"shop.example\""})
    EXPECT_EQ(seen("10.0.0.1", {{"X-Forwarded-Host", host}}, {"10.0.0.1"}).forwarded_host, "") << host;
}

TEST(Forwarded, SchemeAndHostAreThoseOfTheLastTrustedStop) {
  const std::vector<std::string> trusted{"10.0.0.0/8"};
  const auto client = seen("10.0.0.1",
                           {{"X-Forwarded-For", "6.6.6.6, 1.2.3.4, 10.0.0.2"},
                            {"X-Forwarded-Proto", "http, https, http"},
                            {"X-Forwarded-Host", "evil.example, shop.example, inner.example"}},
                           trusted);
  EXPECT_EQ(client.address, "1.2.3.4");
  EXPECT_TRUE(client.secure);
  EXPECT_EQ(client.forwarded_host, "shop.example");
  const auto once =
      seen("10.0.0.1", {{"X-Forwarded-For", "1.2.3.4, 10.0.0.2"}, {"X-Forwarded-Proto", "https"}}, trusted);
  EXPECT_TRUE(once.secure);
}

}  // namespace
}  // namespace fivefold::serve
