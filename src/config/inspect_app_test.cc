#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/unique_fd.h"
#include "config/executable.h"
#include "config/load.h"
#include "config/temporary_folder.h"

namespace fivefold::config {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class InspectApp : public ::testing::Test {
 protected:
  std::string app(const std::string& lines) {
    const auto loaded =
        parse("[[route]]\nrun = \"p\"\n[program.p]\nmodel = \"app\"\n" + lines + "\n", "f.toml", folder_.path());
    EXPECT_TRUE(loaded.config) << told(loaded.faults);
    return loaded.config ? told(inspect(*loaded.config)) : "";
  }
  // With a PATH of the test's own, in which `name` can be executed.
  std::string with_tool(const std::string& name, const std::string& lines) {
    folder_.write("tools/" + name, "#!/bin/sh\n", 0755);
    return app("env = { PATH = \"" + (folder_ / "tools") + "\" }\n" + lines);
  }
  static std::string told(const std::vector<Fault>& faults) {
    std::string text;
    for (const auto& fault : faults) text += to_string(fault) + "\n";
    return text;
  }

  TemporaryFolder folder_;
};

TEST_F(InspectApp, NothingWhenEverythingIsThere) {
  folder_.write("a/server.js", "x");
  folder_.write("a/node_modules/x/index.js", "x");
  folder_.write("a/package.json", R"({"scripts":{"start":"node server.js"},"dependencies":{"x":"1"}})");
  folder_.write("a/bin/server", "#!/bin/sh\n", 0755);
  EXPECT_EQ(with_tool("node", "root = \"a\"\ncommand = [\"node\", \"server.js\"]"), "");
  EXPECT_EQ(with_tool("node", "root = \"a\"\ncommand = [\"node\", \"server\"]"), "");
  EXPECT_EQ(with_tool("node", "root = \"a\"\ncommand = [\"node\", \"--import\", \"x.mjs\", \"gone.js\"]"), "");
  EXPECT_EQ(with_tool("npm", "root = \"a\"\ncommand = [\"npm\", \"start\"]"), "");
  EXPECT_EQ(app("root = \"a\"\ncommand = [\"bin/server\", \"{socket}\"]"), "");
  EXPECT_EQ(app("root = \"a\"\ncommand = [\"{root}/bin/server\"]"), "");
}

TEST_F(InspectApp, CommandsThatCannotBeStarted) {
  folder_.write("a/plain", "#!/bin/sh\n");
  folder_.write("a/venv/bin/broken", "#!/opt/nowhere/python\n", 0755);
  folder_.write("a/.venv/bin/pip", "#!/bin/sh\n", 0755);
  EXPECT_THAT(app("root = \"no\"\ncommand = [\"sh\"]"),
              AllOf(HasSubstr("f.toml:5:8: error: the root of program 'p'"), HasSubstr("is not there; mkdir -p ")));
  EXPECT_THAT(app("command = [\"no-such-program\"]"),
              AllOf(HasSubstr("f.toml:5:11: error: the command of program 'p' cannot be started: there is no "
                              "no-such-program on its PATH; install no-such-program")));
  const auto none = "env = { PATH = \"/nowhere\" }\ncommand = ";
  EXPECT_THAT(app(std::string(none) + "[\"node\", \"x\"]"), HasSubstr("apt install nodejs"));
  EXPECT_THAT(app(std::string(none) + "[\"gunicorn\", \"x\"]"), HasSubstr("apt install gunicorn"));
  EXPECT_THAT(app(std::string(none) + "[\"php-fpm8.2\", \"x\"]"), HasSubstr("apt install php-fpm"));
  EXPECT_THAT(app(std::string(none) + "[\"pnpm\", \"start\"]"), HasSubstr("npm install -g pnpm"));
  EXPECT_THAT(app("root = \"a\"\ncommand = [\"./plain\"]"), HasSubstr("has no execute bit; chmod +x "));
  EXPECT_THAT(app("root = \"a\"\ncommand = [\"./gone\"]"), HasSubstr("a/gone is not there; install it"));
  EXPECT_THAT(
      app("root = \"a\"\ncommand = [\"env/bin/gunicorn\"]"),
      HasSubstr("python3 -m venv " + (folder_ / "a/env") + " && " + (folder_ / "a/env/bin/pip") + " install gunicorn"));
  EXPECT_THAT(app("root = \"a\"\ncommand = [\".venv/bin/gunicorn\"]"),
              HasSubstr("is not there; " + (folder_ / "a/.venv/bin/pip") + " install gunicorn"));
  EXPECT_THAT(app("root = \"a\"\ncommand = [\"venv/bin/broken\"]"),
              AllOf(HasSubstr("the interpreter /opt/nowhere/python"), HasSubstr("python3 -m venv ")));
  EXPECT_THAT(app("root = \"a\"\ncommand = [\"node_modules/.bin/next\"]"),
              HasSubstr("run npm install in " + (folder_ / "a")));
}

TEST_F(InspectApp, NodeApplications) {
  folder_.write("a/package.json", R"({"scripts":{"serve":"node x.js"},"dependencies":{"x":"1"}})");
  folder_.write("b/package.json", "{");
  folder_.write("c/package.json", "{}");
  folder_.write("c/server.js", "x");
  EXPECT_THAT(with_tool("npm", "root = \"a\"\ncommand = [\"npm\", \"start\"]"),
              AllOf(HasSubstr("has no script 'start'"), HasSubstr("it has serve"), HasSubstr("warning"),
                    HasSubstr("run npm install in " + (folder_ / "a"))));
  EXPECT_THAT(with_tool("yarn", "root = \"a\"\ncommand = [\"yarn\", \"run\", \"gone\"]"),
              HasSubstr("no script 'gone'"));
  EXPECT_THAT(with_tool("npm", "root = \"a\"\ncommand = [\"npm\", \"run\", \"serve\"]"),
              AllOf(::testing::Not(HasSubstr("error")), HasSubstr("there is no node_modules")));
  EXPECT_THAT(with_tool("npm", "root = \"b\"\ncommand = [\"npm\", \"start\"]"), HasSubstr("no readable package.json"));
  EXPECT_EQ(with_tool("npm", "root = \"c\"\ncommand = [\"npm\", \"start\"]"), "");
  EXPECT_THAT(with_tool("npm", "root = \"c\"\ncommand = [\"npm\", \"run\", \"start2\"]"),
              HasSubstr("add \"scripts\": { \"start2\""));
  EXPECT_THAT(with_tool("node", "root = \"c\"\ncommand = [\"node\", \"gone.js\"]"),
              HasSubstr("c/gone.js is not there"));
}

TEST_F(InspectApp, Servlets) {
  folder_.write("shop.war", "PK");
  folder_.write("exploded/WEB-INF/web.xml", "<web-app/>");
  folder_.write("empty/x", "x");
  EXPECT_EQ(with_tool("java", "servlet = [\"shop.war\", \"exploded\"]"), "");
  EXPECT_THAT(with_tool("java", "servlet = \"gone.war\""), HasSubstr("the servlet application of program 'p'"));
  EXPECT_THAT(with_tool("java", "servlet = \"empty\""), HasSubstr("a folder without WEB-INF"));
  EXPECT_THAT(app("env = { PATH = \"/nowhere\" }\nservlet = \"shop.war\""),
              HasSubstr("there is no java on its PATH; apt install default-jre-headless"));
}

TEST_F(InspectApp, Addresses) {
  EXPECT_EQ(app("address = \"127.0.0.1:9\""), "");
  EXPECT_EQ(app("address = \"unix:@abstract\""), "");
  EXPECT_THAT(app("address = \"unix:x.sock\""),
              AllOf(HasSubstr("f.toml:5:11: warning: the socket "), HasSubstr("start what listens there")));
  folder_.write("x.sock", "x");
  EXPECT_THAT(app("address = \"unix:x.sock\""), HasSubstr("is not a socket"));
  sockaddr_un name{.sun_family = AF_UNIX, .sun_path = {}};
  (folder_ / "y.sock").copy(name.sun_path, sizeof(name.sun_path) - 1);
  const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)), 0);
  EXPECT_EQ(app("address = \"unix:y.sock\""), "");
  const std::string fastcgi = "address = \"unix:y.sock\"\nprotocol = \"fastcgi\"\n";
  EXPECT_THAT(app(fastcgi + "root = \"gone\""), HasSubstr("warning: the root of program 'p'"));
  EXPECT_THAT(app(fastcgi + "root = \".\"\nscript = \"index.php\""), HasSubstr("warning: the script of program 'p'"));
  EXPECT_THAT(app("address = \"https://x\"\ntls = { ca = \"gone.pem\" }"),
              HasSubstr("f.toml:6:14: error: the ca in tls of program 'p'"));
  EXPECT_THAT(app("address = \"127.0.0.1:9\"\nxsendfile_root = \"gone\""),
              HasSubstr("the xsendfile_root of program 'p'"));
}

TEST_F(InspectApp, FaultyOnesAreLookedAtForWhatIsSound) {
  for (const auto* lines : {"command = 5", "command = []", "servlet = 5", "address = \"9000\"", "command = [\"\"]",
                            "command = [\"x\"]\nservlet = \"x\"\naddress = \"x:1\""}) {
    const auto loaded =
        parse(std::string("[[route]]\nrun = \"p\"\n[program.p]\nmodel = \"app\"\nroot = \"gone\"\n") + lines + "\n",
              "f.toml", folder_.path());
    EXPECT_FALSE(loaded.config) << lines;
    for (const auto& fault : inspect(loaded)) EXPECT_EQ(fault.position.line, 5u) << to_string(fault);
  }
}

TEST_F(InspectApp, AccountsAreLookedUp) {
  const auto said = app("command = [\"/bin/true\"]\nuser = \"no-such-user\"");
  EXPECT_THAT(said, ::geteuid() == 0 ? HasSubstr("there is no user no-such-user") : HasSubstr("only root can become"));
}

}  // namespace
}  // namespace fivefold::config
