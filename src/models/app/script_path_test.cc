#include "models/app/script_path.h"

#include <gtest/gtest.h>

namespace fivefold::models::app {
namespace {

config::App php() {
  config::App app;
  app.root = "/srv/blog";
  app.extensions = {".php"};
  app.index = {"index.php"};
  return app;
}

void expect(const config::App& app, std::string_view prefix, std::string_view rest, const std::string& name,
            const std::string& info, const std::string& file) {
  const auto split = split_script_path(app, prefix, rest);
  ASSERT_TRUE(split) << prefix << rest;
  EXPECT_EQ(split->script_name, name) << prefix << rest;
  EXPECT_EQ(split->path_info, info) << prefix << rest;
  EXPECT_EQ(split->script_filename, file) << prefix << rest;
}

TEST(ScriptPath, EndsAtTheFirstSegmentWithTheExtension) {
  expect(php(), "/", "wp-login.php", "/wp-login.php", "", "/srv/blog/wp-login.php");
  expect(php(), "/blog/", "a/x.php/baz/bat", "/blog/a/x.php", "/baz/bat", "/srv/blog/a/x.php");
  expect(php(), "/", "x.php/y.php", "/x.php", "/y.php", "/srv/blog/x.php");
}

TEST(ScriptPath, AFolderHasAnIndex) {
  expect(php(), "/", "", "/index.php", "", "/srv/blog/index.php");
  expect(php(), "/blog/", "sub/", "/blog/sub/index.php", "", "/srv/blog/sub/index.php");
}

TEST(ScriptPath, WhatIsNoScriptIsNotFound) {
  for (const auto* rest :
       {"picture.jpg", "x.PHP", "x.php5", ".php", "shell\xef\xbc\x8ephp", "x.\xe2\x93\x9f\xe2\x93\x97\xe2\x93\x9f"})
    EXPECT_FALSE(split_script_path(php(), "/", rest)) << rest;
}

TEST(ScriptPath, AFrontControllerAnswersTheRest) {
  auto app = php();
  app.script = "/srv/blog/index.php";
  expect(app, "/", "2026/may", "/index.php", "/2026/may", "/srv/blog/index.php");
  expect(app, "/blog/", "2026", "/blog/index.php", "/2026", "/srv/blog/index.php");
  expect(app, "/", "admin.php", "/admin.php", "", "/srv/blog/admin.php");
}

TEST(ScriptPath, OtherApplicationsGetThePathBelowTheirRoute) {
  expect({}, "/app/", "a/b", "/app", "/a/b", "");
  expect({}, "/", "", "", "/", "");
  expect({}, "/exact", "", "/exact", "", "");
}

}  // namespace
}  // namespace fivefold::models::app
