#include "config/listen_address.h"

#include <gtest/gtest.h>

namespace fivefold::config {
namespace {

TEST(ListenAddress, IsTakenApart) {
  struct Case {
    std::string text, host;
    int port;
    std::string unix_path;
  };
  const Case cases[] = {
      {"127.0.0.1:8080", "127.0.0.1", 8080, ""},
      {"[::1]:443", "::1", 443, ""},
      {"*:80", "", 80, ""},
      {"localhost:0", "localhost", 0, ""},
      {"[fe80::1%eth0]:80", "fe80::1%eth0", 80, ""},
      {"0.0.0.0:65535", "0.0.0.0", 65535, ""},
      {"unix:/run/x.sock", "", 0, "/run/x.sock"},
      {"unix:run/x.sock", "", 0, "/srv/run/x.sock"},
      {"unix:///run/x.sock", "", 0, "/run/x.sock"},
  };
  for (const auto& [text, host, port, unix_path] : cases) {
    const auto listen = parse_listen(text, "/srv");
    ASSERT_TRUE(listen) << text << ": " << listen.error().message;
    EXPECT_EQ(listen->address, text);
    EXPECT_EQ(listen->host, host) << text;
    EXPECT_EQ(listen->port, port) << text;
    EXPECT_EQ(listen->unix_path, unix_path) << text;
  }
}

TEST(ListenAddress, SaysWhatIsWrongAndWhatToWrite) {
  struct Case {
    std::string text, message, mend;
  };
  const Case cases[] = {
      {"8080", "needs a host", "127.0.0.1:8080"},
      {":8080", "needs a host", "*:8080"},
      {"localhost", "needs a port", "localhost:8080"},
      {"[::1]", "needs a port", "[::1]:8080"},
      {"::1:8080", "in brackets", "[::1]:8080"},
      {"[::1:8080", "] is missing", ""},
      {"[127.0.0.1]:80", "not an IPv6 address", ""},
      {"300.1.1.1:80", "not an IPv4 address", ""},
      {"127.1:80", "not an IPv4 address", ""},
      {"a b:80", "not a host name", ""},
      {"127.0.0.1:65536", "from 0 to 65535", ""},
      {"127.0.0.1:-1", "from 0 to 65535", ""},
      {"127.0.0.1:", "from 0 to 65535", ""},
      {"127.0.0.1:000080", "from 0 to 65535", ""},
      {"http://127.0.0.1:80", "no scheme", "leave out \"http://\""},
      {"/run/x.sock", "not an address", "unix:/run/x.sock"},
      {"unix:", "a path is missing", ""},
      {"unix:@name", "abstract", "unix:/run/fivefold.sock"},
      {"unix:/" + std::string(107, 'a'), "107 bytes", ""},
      {"", "needs a port", ""},
  };
  for (const auto& [text, message, mend] : cases) {
    const auto listen = parse_listen(text, "/srv");
    ASSERT_FALSE(listen) << text;
    EXPECT_NE(listen.error().message.find(message), std::string::npos) << text << ": " << listen.error().message;
    EXPECT_NE(listen.error().mend.find(mend), std::string::npos) << text << ": " << listen.error().mend;
  }
}

TEST(AddressRange, IsAnAddressOrCidr) {
  for (const auto* good :
       {"10.0.0.1", "10.0.0.0/8", "0.0.0.0/0", "::1", "2001:db8::/32", "::/0", "1.2.3.4/32", "unix:"})
    EXPECT_EQ(check_address_range(good).message, "") << good;
  for (const auto* bad : {"", "10.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "::1/129", "localhost",
                          "10.0.0.1:80", "[::1]", "unix:/x", "10.0.0.0/8/8"})
    EXPECT_NE(check_address_range(bad).message, "") << bad;
}

}  // namespace
}  // namespace fivefold::config
