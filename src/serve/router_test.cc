#include "serve/router.h"

#include <gtest/gtest.h>

namespace fivefold::serve {
namespace {

config::Route route(std::string path, std::vector<std::string> hosts = {}, std::vector<std::string> methods = {}) {
  config::Route made;
  made.path = std::move(path);
  made.hosts = std::move(hosts);
  made.methods = std::move(methods);
  return made;
}

// The index of the route taken, -1 for none, -2 when only the method stood in the way.
int taken(const Router& router, std::string_view host, std::string_view path, std::string_view method = "GET") {
  std::string allowed;
  const auto kind = method == "GET" ? http::Method::get : method == "HEAD" ? http::Method::head : http::Method::post;
  const auto match = router.match(host, path, kind, method, allowed);
  if (match) return static_cast<int>(match->route);
  return allowed.empty() ? -1 : -2;
}

TEST(Router, TheFirstMatchOfTheFileWins) {
  const Router router({route("/a/b"), route("/a/*"), route("*.php"), route("/*")});
  EXPECT_EQ(taken(router, "", "/a/b"), 0);
  EXPECT_EQ(taken(router, "", "/a/c"), 1);
  EXPECT_EQ(taken(router, "", "/a/x.php"), 1);
  EXPECT_EQ(taken(router, "", "/x.php"), 2);
  EXPECT_EQ(taken(router, "", "/x.php/info"), 2);
  EXPECT_EQ(taken(router, "", "/x.phpx"), 3);
  EXPECT_EQ(taken(router, "", "/"), 3);
  const Router reversed({route("/*"), route("/a/b")});
  EXPECT_EQ(taken(reversed, "", "/a/b"), 0);
}

TEST(Router, HostsAreComparedWithoutCaseAndWildcardsTakeAnyNameBelow) {
  const Router router({route("/*", {"example.org"}), route("/*", {"*.example.org"}), route("/only", {"other.net"})});
  EXPECT_EQ(taken(router, "Example.ORG", "/"), 0);
  EXPECT_EQ(taken(router, "www.example.org", "/"), 1);
  EXPECT_EQ(taken(router, "a.b.example.org", "/"), 1);
  EXPECT_EQ(taken(router, "example.com", "/"), -1);
  EXPECT_EQ(taken(router, "other.net", "/only"), 2);
  EXPECT_EQ(taken(router, "other.net", "/else"), -1);
}

TEST(Router, MethodsNarrowAndTheRestIsNamedInAllow) {
  const Router router({route("/x", {}, {"GET"}), route("/x", {}, {"POST"})});
  EXPECT_EQ(taken(router, "", "/x", "GET"), 0);
  EXPECT_EQ(taken(router, "", "/x", "HEAD"), 0);
  EXPECT_EQ(taken(router, "", "/x", "POST"), 1);
  std::string allowed;
  EXPECT_FALSE(router.match("", "/x", http::Method::put, "PUT", allowed));
  EXPECT_EQ(allowed, "GET, HEAD, POST");
}

TEST(Router, ThePrefixIsWhatThePatternNamesLiterally) {
  const Router router({route("/cgi-bin/*"), route("/exact"), route("*.cgi")});
  std::string allowed;
  EXPECT_EQ(router.match("", "/cgi-bin/a/b", http::Method::get, "GET", allowed)->prefix_length, 9u);
  EXPECT_EQ(router.match("", "/exact", http::Method::get, "GET", allowed)->prefix_length, 6u);
  EXPECT_EQ(router.match("", "/d/x.cgi", http::Method::get, "GET", allowed)->prefix_length, 1u);
}

TEST(Router, AThousandRoutesAreLookedUpByName) {
  std::vector<config::Route> routes;
  for (int i = 0; i < 1000; ++i)
    routes.push_back(route("/r" + std::to_string(i) + "/*", {"h" + std::to_string(i % 10) + ".example"}));
  const Router router(routes);
  EXPECT_EQ(taken(router, "h7.example", "/r997/x"), 997);
  EXPECT_EQ(taken(router, "h6.example", "/r997/x"), -1);
}

}  // namespace
}  // namespace fivefold::serve
