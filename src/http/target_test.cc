#include "http/target.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace fivefold::http {
namespace {

using namespace std::string_literals;

std::string normal(std::string_view raw_path) {
  std::string path = "what was there before";
  const auto result = normalize_path(raw_path, path);
  if (result) return path;
  return result.error().code == Code::bad_request ? "400"
         : result.error().code == Code::not_found ? "404"
                                                  : "another error";
}

TEST(NormalizePath, Table) {
  const std::pair<std::string, std::string> rows[] = {
      {"/", "/"},
      {"/a/b.html", "/a/b.html"},
      {"/a/", "/a/"},
      {"/a b", "400"},
      {"", "400"},
      {"a", "400"},
      {"*", "400"},
      {"/a%20b", "/a b"},
      {"/%7Euser", "/~user"},
      {"/%7euser", "/~user"},
      {"/caf%C3%A9", "/caf\xc3\xa9"},
      {"/a+b", "/a+b"},
      // Dots and empty segments, also encoded, vanish.
      {"/a/./b", "/a/b"},
      {"/a//b", "/a/b"},
      {"/a/%2e/b", "/a/b"},
      {"/a/x/../b", "/a/b"},
      {"/a/x/%2e%2E/b", "/a/b"},
      {"/a/x/.%2e/b", "/a/b"},
      {"//", "/"},
      {"///a", "/a"},
      {"/a//", "/a/"},
      {"/.", "/"},
      {"/./", "/"},
      {"/a/.", "/a/"},
      {"/a/..", "/"},
      {"/a/b/..", "/a/"},
      {"/a/b/../", "/a/"},
      {"/a/../b/../c", "/c"},
      {"/a//../b", "/b"},
      // More dots, or dots in a name, are a name.
      {"/...", "/..."},
      {"/.a", "/.a"},
      {"/a.", "/a."},
      {"/..a/a..", "/..a/a.."},
      {"/.well-known/x", "/.well-known/x"},
      // Above the root.
      {"/..", "400"},
      {"/../x", "400"},
      {"/a/../../x", "400"},
      {"/%2e%2e/x", "400"},
      {"/./..", "400"},
      {"//..", "400"},
      {"/cgi-bin/.%2e/.%2e/bin/sh", "400"},                              // CVE-2021-41773
      {"/cgi-bin/%%32%65%%32%65/bin/sh", "400"},                         // CVE-2021-42013
      {"/cgi-bin/%25%32%65%25%32%65/bin/sh", "/cgi-bin/%2e%2e/bin/sh"},  // decoded once, and no more
      {"/%2525", "/%25"},
      // Escapes.
      {"/%", "400"},
      {"/%1", "400"},
      {"/%zz", "400"},
      {"/%2", "400"},
      {"/a%4", "400"},
      {"/%0", "400"},
      {"/%00", "400"},
      {"/a%00.html", "400"},
      {"/a%0d%0aX: y", "400"},
      {"/a%0d%0aX:y", "400"},
      {"/a%7f", "400"},
      // An encoded slash is no slash, and no part of a name.
      {"/a%2fb", "404"},
      {"/a%2Fb", "404"},
      {"/..%2fx", "404"},
      // Nor is a backslash or an overlong form one.
      {"/a\\..\\b", "/a\\..\\b"},
      {"/..%5cx", "/..\\x"},
      {"/%c0%af", "/\xc0\xaf"},
      {"/%c0%ae%c0%ae/x", "/\xc0\xae\xc0\xae/x"},
      // Raw bytes that a target must not have.
      {"/caf\xc3\xa9", "400"},
      {"/\x01", "400"},
      {"/a\0b"s, "400"},
      {"/\x7f", "400"},
  };
  for (const auto& [raw, expected] : rows) EXPECT_EQ(normal(raw), expected) << printable(raw);
}

TEST(EncodedSlashes, AreReadInBothWays) {
  const std::tuple<std::string, std::string, std::string> rows[] = {
      {"/@scope%2Fname", "/@scope%2Fname", "/@scope/name"},
      {"/a%2fb%2Fc/%41", "/a%2Fb%2Fc/A", "/a/b/c/A"},
      {"/to/https%3A%2F%2Fexample.org", "/to/https:%2F%2Fexample.org", "/to/https:/example.org"},
      {"/a%252Fb%2Fc", "/a%2Fb%2Fc", "/a%2Fb/c"},
      {"/a/...%2Fb", "/a/...%2Fb", "/a/.../b"},
      // Dots, in either reading and in any encoding.
      {"/a%2F..%2Fb", "404", ""},
      {"/..%2Fx", "404", ""},
      {"/a/.%2Fb", "404", ""},
      {"/a/../b%2Fc", "404", ""},
      {"/a%2F%2e.", "404", ""},
      {"/a%2F%2E%2e%2Fb", "404", ""},
      {"/a%2Fb%00", "400", ""},
      {"/a%2Fb%2", "400", ""},
      {"/a%2Fb%0d", "400", ""},
  };
  for (const auto& [raw, as_name, as_separator] : rows) {
    std::string one, other;
    const auto result = read_encoded_slashes(raw, one, other);
    if (!result) one = result.error().code == Code::not_found ? "404" : "400";
    EXPECT_EQ(one, as_name) << raw;
    if (result) {
      EXPECT_EQ(other, as_separator) << raw;
    }
  }
}

TEST(NormalizePath, ItsResultEncodedAgainGivesTheSame) {
  for (const std::string raw : {"/a/./b//c/../%20%25", "/..a/%c3%a9/", "/", "/a/b/c"})
    EXPECT_EQ(normal(percent_encode_path(normal(raw))), normal(raw)) << raw;
}

TEST(NormalizePath, AnErrorNamesThePath) {
  std::string path;
  const auto result = normalize_path("/a/../../etc", path);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "The path /a/../../etc climbs above the root; take out a \"..\".");
}

}  // namespace
}  // namespace fivefold::http
