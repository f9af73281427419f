#include "config/upstream_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fivefold::config {
namespace {

using ::testing::HasSubstr;

TEST(UpstreamAddress, IsReadAsWritten) {
  struct Case {
    const char *text, *path, *host;
    std::uint16_t port;
    bool tls;
  };
  const Case cases[] = {{"127.0.0.1:9000", "", "127.0.0.1", 9000, false},
                        {"[::1]:9000", "", "::1", 9000, false},
                        {"app.internal:80", "", "app.internal", 80, false},
                        {"my_app-1:8000", "", "my_app-1", 8000, false},
                        {"http://app", "", "app", 80, false},
                        {"http://app:81", "", "app", 81, false},
                        {"https://app.example", "", "app.example", 443, true},
                        {"https://[::1]:8443", "", "::1", 8443, true},
                        {"https://[::1]", "", "::1", 443, true},
                        {"unix:/run/x.sock", "/run/x.sock", "", 0, false},
                        {"unix:@name", "@name", "", 0, false}};
  for (const auto& [text, path, host, port, tls] : cases) {
    const auto address = parse_upstream(text, "/etc");
    ASSERT_TRUE(address) << text << address.error().message;
    EXPECT_EQ(address->text, text);
    EXPECT_EQ(address->path, path) << text;
    EXPECT_EQ(address->host, host) << text;
    EXPECT_EQ(address->port, port) << text;
    EXPECT_EQ(address->tls, tls) << text;
  }
  EXPECT_EQ(parse_upstream("unix:run/x.sock", "/etc")->text, "unix:/etc/run/x.sock");
  EXPECT_EQ(parse_upstream("unix:///run/x.sock", "/etc")->text, "unix:/run/x.sock");
}

TEST(UpstreamAddress, WhatIsWrongIsSaidWithAMend) {
  struct Case {
    std::string text, message, mend;
  };
  const Case cases[] = {{"", "needs a host", ""},
                        {"9000", "needs a host", "\"127.0.0.1:9000\""},
                        {":9000", "needs a host", "\"127.0.0.1:9000\""},
                        {"localhost", "needs a port", "\"localhost:9000\""},
                        {"localhost:", "needs a port", "\"localhost:9000\""},
                        {"[::1]", "needs a port", "\"[::1]:9000\""},
                        {"http://x:", "needs a port", ""},
                        {"localhost:0", "1 to 65535", ""},
                        {"localhost:70000", "1 to 65535", ""},
                        {"localhost:http", "1 to 65535", ""},
                        {"::1:9000", "in brackets", "[::1:9000]:9000"},
                        {"[::1", "] is missing", ""},
                        {"[::1]9000", "after ] comes a port", ""},
                        {"[app]:80", "not an IPv6 address", ""},
                        {"a b:80", "not the name", ""},
                        {"u@x:80", "not the name", ""},
                        {"*:80", "not the name", ""},
                        {"x?y:80", "not the name", ""},
                        {"http://app/", "ends with its host", "leave out the /"},
                        {"http://app/v1", "has no path", "write \"http://app\""},
                        {"app:80/v1", "has no path", "write \"app:80\""},
                        {"/run/x.sock", "not an address", "\"unix:/run/x.sock\""},
                        {"unix:", "path is missing", ""},
                        {"unix:@", "name of the socket", ""},
                        {"unix:/" + std::string(107, 'x'), "107 bytes", "shorter"},
                        {"fastcgi://x:9000", "http:// and https:// only", "leave out \"fastcgi://\""}};
  for (const auto& [text, message, mend] : cases) {
    const auto address = parse_upstream(text, "/etc");
    ASSERT_FALSE(address) << text;
    EXPECT_THAT(address.error().message, HasSubstr(message)) << text;
    EXPECT_THAT(address.error().mend, HasSubstr(mend)) << text;
  }
}

TEST(UpstreamAddress, TheSamePlaceIsKnown) {
  const auto same = [](const char* a, const char* b) {
    return parse_upstream(a, "/")->same_place(*parse_upstream(b, "/"));
  };
  EXPECT_TRUE(same("http://App:80", "app:80"));
  EXPECT_TRUE(same("unix:/x", "unix:x"));
  EXPECT_FALSE(same("https://app:80", "app:80"));
  EXPECT_FALSE(same("app:80", "app:81"));
}

}  // namespace
}  // namespace fivefold::config
