#include "models/app/launch_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace fivefold::models::app {
namespace {

const InstancePlace kPlace{.id = 3, .folder = "/run/ff/1/3", .port = 41234};
const LaunchSurroundings kSurroundings{.workers = "/usr/share/fivefold", .home = "/home/deploy", .user_name = "deploy"};

config::Program program(std::vector<std::string> command) {
  config::Program program{.name = "api", .model = config::Model::app};
  program.app.command = std::move(command);
  program.app.root = "/srv/api";
  return program;
}

std::vector<std::string> strings_of(const process::StringBlock& block) {
  std::vector<std::string> strings;
  auto rest = block.bytes();
  while (!rest.empty()) {
    strings.emplace_back(rest.substr(0, rest.find('\0')));
    rest.remove_prefix(strings.back().size() + 1);
  }
  return strings;
}

std::string variable(const LaunchPlan& plan, const std::string& name) {
  for (const auto& string : strings_of(plan.spawn.environment))
    if (string.starts_with(name + "=")) return string.substr(name.size() + 1);
  return "(unset)";
}

TEST(LaunchPlan, FillsInWhereTheApplicationListens) {
  const auto plan = plan_launch(program({"/usr/bin/gunicorn", "shop:app", "--bind", "unix:{socket}"}), "/srv/api",
                                kPlace, kSurroundings);
  EXPECT_EQ(strings_of(plan.spawn.arguments),
            (std::vector<std::string>{"/usr/bin/gunicorn", "shop:app", "--bind", "unix:/run/ff/1/3/socket"}));
  EXPECT_TRUE(plan.may_use_socket);
  EXPECT_FALSE(plan.may_use_port);
  EXPECT_EQ(plan.spawn.directory, "/srv/api");
  EXPECT_EQ(plan.command_line, "/usr/bin/gunicorn shop:app --bind unix:/run/ff/1/3/socket");
}

TEST(LaunchPlan, APortIsGivenInTheCommandAndInTheEnvironment) {
  const auto plan = plan_launch(program({"/bin/server", "--listen={host}:{port}"}), "/srv/api", kPlace, kSurroundings);
  EXPECT_EQ(strings_of(plan.spawn.arguments).back(), "--listen=127.0.0.1:41234");
  EXPECT_EQ(variable(plan, "PORT"), "41234");
  EXPECT_FALSE(plan.may_use_socket);
  EXPECT_TRUE(plan.may_use_port);
}

TEST(LaunchPlan, ACommandThatNamesNeitherMayUseEither) {
  const auto plan = plan_launch(program({"/bin/server"}), "/srv/api", kPlace, kSurroundings);
  EXPECT_TRUE(plan.may_use_socket);
  EXPECT_TRUE(plan.may_use_port);
}

TEST(LaunchPlan, NodeGetsThePreloadBeforeItsOwnOptions) {
  auto node = program({"node", "server.js"});
  node.app.kind = config::AppKind::node;
  node.env = {{"NODE_OPTIONS", "--max-old-space-size=256"}};
  const auto plan = plan_launch(node, "/srv/api", kPlace, kSurroundings);
  EXPECT_EQ(variable(plan, "NODE_OPTIONS"), "--require /usr/share/fivefold/node/preload.cjs --max-old-space-size=256");
  EXPECT_EQ(variable(plan, "NODE_ENV"), "production");
  EXPECT_EQ(variable(plan, "FIVEFOLD_SOCKET"), "/run/ff/1/3/socket");
}

TEST(LaunchPlan, ThePreloadMayLieInAnyFolder) {
  auto node = program({"node", "server.js"});
  node.app.kind = config::AppKind::node;
  const auto options = [&node](const std::string& workers) {
    const LaunchSurroundings surroundings{.workers = workers, .home = "/", .user_name = "deploy"};
    return variable(plan_launch(node, "/srv/api", kPlace, surroundings), "NODE_OPTIONS");
  };
  EXPECT_EQ(options("/home/a user/ff"), "--require \"/home/a user/ff/node/preload.cjs\"");
  EXPECT_EQ(options("/a \"b\" \\c"), "--require \"/a \\\"b\\\" \\\\c/node/preload.cjs\"");
  EXPECT_EQ(options("/a\\b"), "--require /a\\b/node/preload.cjs");  // outside of quotes it is an ordinary byte
}

TEST(LaunchPlan, TheOperatorsEnvironmentWinsButNotOverWhereToListen) {
  auto given = program({"node", "server.js"});
  given.app.kind = config::AppKind::node;
  given.env = {{"NODE_ENV", "staging"}, {"HOME", "/srv"}, {"PORT", "80"}, {"HOST", "::"}};
  const auto plan = plan_launch(given, "/srv/api", kPlace, kSurroundings);
  EXPECT_EQ(variable(plan, "NODE_ENV"), "staging");
  EXPECT_EQ(variable(plan, "HOME"), "/srv");
  EXPECT_EQ(variable(plan, "HOST"), "::");
  EXPECT_EQ(variable(plan, "PORT"), "41234");
}

TEST(LaunchPlan, NothingOfTheServersOwnEnvironmentIsInherited) {
  ::setenv("FIVEFOLD_SECRET_OF_THE_SERVER", "x", 1);
  const auto plan = plan_launch(program({"/bin/server"}), "/srv/api", kPlace, kSurroundings);
  EXPECT_EQ(variable(plan, "FIVEFOLD_SECRET_OF_THE_SERVER"), "(unset)");
  EXPECT_EQ(variable(plan, "NOTIFY_SOCKET"), "(unset)");
  EXPECT_EQ(variable(plan, "TMPDIR"), "(unset)");
}

TEST(LaunchPlan, WhatIsAskedForIsThere) {
  auto asked = program({"/bin/server"});
  asked.app.ready = config::Ready::notify;
  asked.app.private_tmp = true;
  asked.app.socket_activation = true;
  const auto plan = plan_launch(asked, "/srv/api", kPlace, kSurroundings);
  EXPECT_EQ(variable(plan, "NOTIFY_SOCKET"), "/run/ff/1/3/notify");
  EXPECT_EQ(variable(plan, "TMPDIR"), "/run/ff/1/3/tmp");
  EXPECT_EQ(variable(plan, "LISTEN_FDS"), "1");
  EXPECT_TRUE(plan.spawn.listen_pid);
  EXPECT_FALSE(plan.may_use_port);
}

TEST(LaunchPlan, ServletsHaveTheContextsOfTheirNames) {
  auto shop = program({});
  shop.app.kind = config::AppKind::servlet;
  shop.app.servlet = {"/srv/ROOT.war", "/srv/shop.war", "/srv/a#b/"};
  const auto words = strings_of(plan_launch(shop, "/srv/api", kPlace, kSurroundings).spawn.arguments);
  EXPECT_NE(std::ranges::find(words, "/=/srv/ROOT.war"), words.end());
  EXPECT_NE(std::ranges::find(words, "/shop=/srv/shop.war"), words.end());
  EXPECT_NE(std::ranges::find(words, "/a/b=/srv/a#b/"), words.end());
  shop.app.servlet = {"/srv/shop.war"};
  EXPECT_EQ(strings_of(plan_launch(shop, "/srv/api", kPlace, kSurroundings).spawn.arguments).back(), "/=/srv/shop.war");
}

TEST(Fingerprint, DiffersWhereAnInstanceWould) {
  const auto base = program({"/bin/server", "a", "b"});
  const auto print = fingerprint_of(base, "/srv/api", "/run/ff/1");
  EXPECT_EQ(fingerprint_of(base, "/srv/api", "/run/ff/1"), print);
  EXPECT_NE(fingerprint_of(base, "/srv/releases/2", "/run/ff/1"), print);
  EXPECT_NE(fingerprint_of(base, "/srv/api", "/run/ff/2"), print) << "where its socket lies, by user and group";
  auto other = base;
  other.app.command = {"/bin/server", "a b"};
  EXPECT_NE(fingerprint_of(other, "/srv/api", "/run/ff/1"), print);
  other = base;
  other.env = {{"A", "1"}};
  EXPECT_NE(fingerprint_of(other, "/srv/api", "/run/ff/1"), print);
  other = base;
  other.limits.memory = 1 << 30;
  EXPECT_NE(fingerprint_of(other, "/srv/api", "/run/ff/1"), print);
  other = base;
  other.app.max_instances = 8;  // a setting of the pool, not of its instances
  other.timeout = std::chrono::seconds(1);
  EXPECT_EQ(fingerprint_of(other, "/srv/api", "/run/ff/1"), print);
}

}  // namespace
}  // namespace fivefold::models::app
