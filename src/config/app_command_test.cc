#include "config/app_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fivefold::config {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(AppCommand, PlaceholdersAreFilledIn) {
  const Placeholders values{.socket = "/run/{port}/socket", .port = "4711", .host = "127.0.0.1", .root = "/srv/app"};
  const auto filled = [&](std::string_view word) { return fill_placeholders(word, values); };
  EXPECT_EQ(filled("unix:{socket}"), "unix:/run/{port}/socket");
  EXPECT_EQ(filled("{host}:{port}"), "127.0.0.1:4711");
  EXPECT_EQ(filled("{root}{root}/x"), "/srv/app/srv/app/x");
  EXPECT_EQ(filled(""), "");
  // A shell's variables, JSON, formats and what is not closed are left alone.
  for (const auto* word : {"${port}", "{\"port\":1}", "{port", "port}", "{}", "{ port }", "{PORT}", "{sock}"})
    EXPECT_EQ(filled(word), word);
  EXPECT_EQ(filled("{x{port}"), "{x4711");
  EXPECT_EQ(filled("{{port}}"), "{4711}");
}

TEST(AppCommand, PlaceholdersAreFound) {
  EXPECT_TRUE(has_placeholder("unix:{socket}", "socket"));
  EXPECT_FALSE(has_placeholder("unix:{socket}", "port"));
  EXPECT_FALSE(has_placeholder("${port}", "port"));
  EXPECT_THAT(unknown_placeholders("{sock} {port} ${home} {print} {x y}"), ElementsAre("sock", "print"));
  EXPECT_THAT(unknown_placeholders("{socket}{port}{host}{root}"), IsEmpty());
}

TEST(AppCommand, NodeIsKnownByItsCommands) {
  using Words = std::vector<std::string>;
  for (const auto& words :
       {Words{"node", "server.js"}, Words{"/usr/bin/node"}, Words{"npm", "start"},
        Words{"node_modules/.bin/next", "start"}, Words{"env", "A=/b", "node", "x"}, Words{"/usr/bin/env", "npx", "x"},
        Words{"yarn"}, Words{"pnpm"}, Words{"corepack"}, Words{"/bin/sh", "-c", "exec node server.js | cat"},
        Words{"bash", "-lc", "NODE_ENV=x  npm start"}})
    EXPECT_TRUE(starts_node(words)) << ::testing::PrintToString(words);
  for (const auto& words : {Words{}, Words{"gunicorn", "node"}, Words{"./node-like"}, Words{"sh", "-c"},
                            Words{"sh", "node"}, Words{"sh", "-c", ""}, Words{"env"}, Words{""}})
    EXPECT_FALSE(starts_node(words)) << ::testing::PrintToString(words);
}

}  // namespace
}  // namespace fivefold::config
