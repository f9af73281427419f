#include "config/path_pattern.h"

#include <gtest/gtest.h>

namespace fivefold::config {
namespace {

TEST(PathPattern, HasThreeForms) {
  for (const auto* good :
       {"/", "/*", "/a", "/a/", "/a/*", "/a/b/*", "*.php", "*.tar.gz", "/a b", "/100%", "/Ä", "/a.b"})
    EXPECT_EQ(check_path_pattern(good).message, "") << good;
  struct Case {
    const char *pattern, *message, *mend;
  };
  const Case bad[] = {
      {"", "missing", "/*"},
      {"a", "begins with /", "/a"},
      {"*", "lone *", "/*"},
      {"*php", "begins with a dot", "*.php"},
      {"*.", "begins with a dot", "*.php"},
      {"*.a/b", "neither", ""},
      {"*.a*", "neither", ""},
      {"/a*", "must follow a /", "/a/*"},
      {"/a/*/b", "at the end", ""},
      {"/*.php", "at the end", "*.php"},
      {"/a?b=1", "query", ""},
      {"/a#b", "fragment", ""},
      {"/a%20b", "decoded", ""},
      {"/a//b", "never match", ""},
      {"/a/../b", "never match", ""},
      {"/a/.", "never match", ""},
      {"/a\nb", "control", ""},
  };
  for (const auto& [pattern, message, mend] : bad) {
    const auto complaint = check_path_pattern(pattern);
    EXPECT_NE(complaint.message.find(message), std::string::npos) << pattern << ": " << complaint.message;
    EXPECT_NE(complaint.mend.find(mend), std::string::npos) << pattern << ": " << complaint.mend;
  }
}

TEST(HostPattern, IsANameOrAllBelowOne) {
  for (const auto* good : {"example.org", "*.example.org", "localhost", "127.0.0.1", "[::1]", "Example.ORG"})
    EXPECT_EQ(check_host_pattern(good).message, "") << good;
  for (const auto* bad : {"", "*", "*.", "a.*", "*a.org", "example.org:80", "example.org:", "http://a", "a/b", "a b",
                          "bücher.example", "*.*.org"})
    EXPECT_NE(check_host_pattern(bad).message, "") << bad;
}

TEST(PathPattern, CoversWhatItTakesWhole) {
  struct Case {
    const char *wide, *narrow;
    bool expected;
  };
  const Case cases[] = {
      {"/*", "/a", true},          {"/*", "*.php", true},     {"/a/*", "/a/b", true},      {"/a/*", "/a/b/*", true},
      {"/a/*", "/a", false},       {"/a/*", "/a/", true},     {"/a/*", "/ab", false},      {"/a/*", "*.php", false},
      {"/a/*", "/*", false},       {"*.php", "/x.php", true}, {"*.php", "/x.php/y", true}, {"*.php", "/x.php/*", true},
      {"*.php", "/x.phpx", false}, {"*.php", "/*", false},    {"*.gz", "*.tar.gz", true},  {"*.tar.gz", "*.gz", false},
      {"*.gz", "/a.tar.gz", true}, {"/a", "/a", true},        {"/a", "/b", false},         {"/a", "/a/*", false},
      {"*.php", "*.phps", false},
  };
  for (const auto& [wide, narrow, expected] : cases)
    EXPECT_EQ(covers_path(wide, narrow), expected) << wide << " over " << narrow;
}

TEST(Routes, ThatCanNeverMatchAreTold) {
  using Names = std::vector<std::string>;
  struct Case {
    Names first_hosts;
    std::string first_path;
    Names first_methods;
    Names second_hosts;
    std::string second_path;
    Names second_methods;
    bool told;
  };
  const Case cases[] = {
      {{}, "/*", {}, {}, "/a", {}, true},
      {{}, "/a/*", {}, {}, "/a/b/*", {}, true},
      {{}, "/a", {}, {}, "/a", {}, true},
      {{}, "*.php", {}, {}, "*.x.php", {}, true},
      {{}, "*.php", {}, {}, "/x.php/*", {}, true},
      {{}, "/a", {}, {}, "/*", {}, false},
      {{"a.org"}, "/*", {}, {}, "/a", {}, false},
      {{}, "/*", {}, {"a.org"}, "/a", {}, true},
      {{"a.org"}, "/*", {}, {"a.org", "b.org"}, "/a", {}, false},
      {{"*.a.org"}, "/*", {}, {"b.a.org", "*.c.a.org"}, "/a", {}, true},
      {{"*.a.org"}, "/*", {}, {"a.org"}, "/a", {}, false},
      {{}, "/*", {"GET"}, {}, "/a", {}, false},
      {{}, "/*", {"GET"}, {}, "/a", {"GET", "HEAD"}, true},
      {{}, "/*", {"HEAD"}, {}, "/a", {"GET"}, false},
      {{}, "/*", {"GET"}, {}, "/a", {"POST"}, false},
  };
  for (const auto& one : cases) {
    Route first{
        .position = {"f", 1, 1}, .hosts = one.first_hosts, .path = one.first_path, .methods = one.first_methods};
    Route second{
        .position = {"f", 5, 1}, .hosts = one.second_hosts, .path = one.second_path, .methods = one.second_methods};
    Faults faults("f");
    check_reachable({first, second}, faults);
    const auto told = faults.take();
    ASSERT_EQ(told.size(), one.told ? 1u : 0u) << one.first_path << " before " << one.second_path;
    if (!one.told) continue;
    EXPECT_EQ(told[0].severity, Fault::Severity::warning);
    EXPECT_EQ(told[0].position.line, 5u);
    EXPECT_NE(told[0].message.find("line 1"), std::string::npos) << told[0].message;
  }
}

}  // namespace
}  // namespace fivefold::config
