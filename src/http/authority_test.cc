#include "http/authority.h"

#include <gtest/gtest.h>

#include <string>

namespace fivefold::http {
namespace {

// "host" or "host port", or "refused".
std::string shown(std::string_view text) {
  const auto authority = parse_authority(text);
  if (!authority) return "refused";
  return std::string(authority->host) + (authority->port ? " " + std::to_string(*authority->port) : "");
}

TEST(Authority, Table) {
  const std::pair<const char*, const char*> rows[] = {
      {"example.org", "example.org"},
      {"Example.ORG.", "Example.ORG"},
      {"a.:80", "a 80"},
      {"a:", "a"},
      {"a:0", "a 0"},
      {"a:65535", "a 65535"},
      {"a:65536", "refused"},
      {"a:000080", "refused"},
      {"a:+80", "refused"},
      {"a:80x", "refused"},
      {"a:1:2", "refused"},
      {":80", "refused"},
      {"", "refused"},
      {".", "refused"},
      {"..", "refused"},
      {".a", "refused"},
      {"a..", "refused"},
      {"a..b", "refused"},
      {"my_host-1~x", "my_host-1~x"},
      {"127.0.0.1:8080", "127.0.0.1 8080"},
      {"a%41", "refused"},
      {"a\\b", "refused"},
      {"a'b", "refused"},
      {"u@a", "refused"},
      {"a/b", "refused"},
      {"a?b", "refused"},
      {"a\tb", "refused"},
      {"[::1]", "[::1]"},
      {"[::1]:8080", "[::1] 8080"},
      {"[2001:db8::1]:", "[2001:db8::1]"},
      {"[::ffff:192.0.2.1]", "[::ffff:192.0.2.1]"},
      {"[::1", "refused"},
      {"::1", "refused"},
      {"[]", "refused"},
      {"[::1]x", "refused"},
      {"[::g]", "refused"},
      {"[1::2::3]", "refused"},
      {"[fe80::1%25eth0]", "refused"},
      {"[1.2.3.4]", "refused"},
      {"[v1.x]", "refused"},
      {"[::1].", "refused"},
  };
  for (const auto& [text, expected] : rows) EXPECT_EQ(shown(text), expected) << text;
}

TEST(Authority, ANameHasAtMost255Bytes) {
  EXPECT_TRUE(parse_authority(std::string(255, 'a')));
  EXPECT_TRUE(parse_authority(std::string(255, 'a') + ".:80"));
  EXPECT_FALSE(parse_authority(std::string(256, 'a')));
}

}  // namespace
}  // namespace fivefold::http
