#include "config/app_section.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/parse_rig.h"

namespace fivefold::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

std::string program(const std::string& lines) { return "[[route]]\nrun = \"p\"\n[program.p]\n" + lines + "\n"; }
std::string app(const std::string& lines) { return program("model = \"app\"\n" + lines); }
std::string command(const std::string& lines) { return app("command = [\"x\"]\n" + lines); }
std::string address(const std::string& lines) { return app("address = \"x:1\"\n" + lines); }

// The application of a text without a fault.
Program read(const std::string& text) {
  auto loaded = parse(text, "f.toml", "/etc/f");
  EXPECT_EQ(told(loaded), "") << text;
  return loaded.config && !loaded.config->programs.empty() ? loaded.config->programs[0] : Program{};
}

TEST(ParseApp, EveryKeyOfAStartedOne) {
  const auto one = read(app(R"(
root = "api"
command = ["bin/server", "--listen", "unix:{socket}", ""]
protocol = "fastcgi"
script = "./public/index.php"
extensions = [".php", ".phtml"]
index = "index.php"
socket_activation = true
ready = "notify"
start_timeout = "1s"
start_retries = 2
instances = { min = 0, max = 8, idle_timeout = "3s" }
concurrency = 4
connect_timeout = "5s"
first_byte_timeout = "6s"
idle_timeout = "7s"
send_timeout = "8s"
keep_alive = "0s"
drain = "0s"
stop_grace = "1h"
max_age = "12h"
max_memory = "512MB"
health = { path = "/up?x=1", interval = "9s", timeout = "10s", failures = 11 }
eject_failures = 0
sticky = "instance"
on_timeout = "replace"
request_buffering = true
body_memory = "1MB"
output_head = "64KB"
retries = 0
private_tmp = true
pass_authorization = false
strip_prefix = true
forward = ["x-forwarded", "traceparent"]
host = "app.internal:8000"
xsendfile_root = "files"
env = { HTTP_PROXY = "http://proxy", SCRIPT_NAME = "/api", NODE_OPTIONS = "--inspect" }
timeout = "1m"
queue = 3
limits = { memory = "1GB" }
max_requests = 1000
watch = ["api/src"]
)"));
  EXPECT_EQ(one.model, Model::app);
  const auto& app = one.app;
  EXPECT_EQ(app.kind, AppKind::command);
  EXPECT_EQ(app.root, "/etc/f/api");
  EXPECT_THAT(app.command, ElementsAre("/etc/f/api/bin/server", "--listen", "unix:{socket}", ""));
  EXPECT_EQ(app.protocol, Protocol::fastcgi);
  EXPECT_EQ(app.script, "/etc/f/api/public/index.php");
  EXPECT_THAT(app.extensions, ElementsAre(".php", ".phtml"));
  EXPECT_THAT(app.index, ElementsAre("index.php"));
  EXPECT_TRUE(app.socket_activation);
  EXPECT_EQ(app.ready, Ready::notify);
  EXPECT_EQ(app.start_timeout, 1s);
  EXPECT_EQ(app.start_retries, 2u);
  EXPECT_EQ(app.min_instances, 0u);
  EXPECT_EQ(app.max_instances, 8u);
  EXPECT_EQ(app.instance_idle_timeout, 3s);
  EXPECT_EQ(app.concurrency, 4u);
  EXPECT_EQ(app.connect_timeout, 5s);
  EXPECT_EQ(app.first_byte_timeout, 6s);
  EXPECT_EQ(app.idle_timeout, 7s);
  EXPECT_EQ(app.send_timeout, 8s);
  EXPECT_EQ(app.keep_alive, 0s);
  EXPECT_EQ(app.drain, 0s);
  EXPECT_EQ(app.stop_grace, 1h);
  EXPECT_EQ(app.max_age, 12h);
  EXPECT_EQ(app.max_memory, 512u << 20);
  EXPECT_EQ(app.health_path, "/up?x=1");
  EXPECT_EQ(app.health_interval, 9s);
  EXPECT_EQ(app.health_timeout, 10s);
  EXPECT_EQ(app.health_failures, 11u);
  EXPECT_EQ(app.eject_failures, 0u);
  EXPECT_EQ(app.sticky, "instance");
  EXPECT_EQ(app.on_timeout, OnTimeout::replace);
  EXPECT_EQ(app.request_buffering, RequestBuffering::memory_then_disk);
  EXPECT_EQ(app.body_memory, 1u << 20);
  EXPECT_EQ(app.output_head, 64u << 10);
  EXPECT_EQ(app.retries, 0u);
  EXPECT_TRUE(app.private_tmp);
  EXPECT_FALSE(app.pass_authorization);
  EXPECT_TRUE(app.strip_prefix);
  EXPECT_EQ(app.forward, kForwardX | kForwardTrace);
  EXPECT_EQ(app.host, "app.internal:8000");
  EXPECT_EQ(app.xsendfile_root, "/etc/f/files");
  // Its environment is its own: what the server computes for a process per request is nothing here.
  EXPECT_THAT(one.env, ElementsAre(Pair("HTTP_PROXY", "http://proxy"), Pair("SCRIPT_NAME", "/api"),
                                   Pair("NODE_OPTIONS", "--inspect")));
  EXPECT_EQ(one.max_requests, 1000u);
  EXPECT_EQ(one.limits.memory, 1u << 30);
  EXPECT_THAT(one.watch, ElementsAre("/etc/f/api/src"));
}

TEST(ParseApp, OneAtAddresses) {
  const auto one = read(app(R"(address = ["https://a.internal", "unix:run/x.sock"]
tls = { ca = "ca.pem", name = "b.internal", certificate = "c.pem", key = "k.pem", verify = false }
tunnel_timeout = "2h"
drain = "5s"
health = { path = "/" })"));
  EXPECT_EQ(one.app.kind, AppKind::address);
  EXPECT_EQ(one.app.root, "");
  EXPECT_THAT(one.app.address, ElementsAre("https://a.internal", "unix:/etc/f/run/x.sock"));
  EXPECT_EQ(one.app.tls_ca, "/etc/f/ca.pem");
  EXPECT_EQ(one.app.tls_name, "b.internal");
  EXPECT_EQ(one.app.tls_certificate, "/etc/f/c.pem");
  EXPECT_EQ(one.app.tls_key, "/etc/f/k.pem");
  EXPECT_FALSE(one.app.tls_verify);
  EXPECT_EQ(one.app.tunnel_timeout, 2h);
  const auto fpm = read(app(R"(address = "unix:/run/php/php-fpm.sock"
protocol = "fastcgi"
root = "/srv/blog"
script = "/srv/blog/index.php"
env = { APP_ENV = "production" })"));
  EXPECT_EQ(fpm.app.script, "/srv/blog/index.php");
  EXPECT_EQ(fpm.env.size(), 1u);
}

TEST(ParseApp, KindAndFoldersFollowFromTheKeys) {
  const auto node = read(app("command = [\"npm\", \"start\"]"));
  EXPECT_EQ(node.app.kind, AppKind::node);
  EXPECT_EQ(node.app.root, "/etc/f");
  EXPECT_THAT(node.app.command, ElementsAre("npm", "start"));
  const auto servlet = read(app("root = \"java\"\nservlet = [\"shop.war\", \"/srv/b\"]"));
  EXPECT_EQ(servlet.app.kind, AppKind::servlet);
  EXPECT_THAT(servlet.app.servlet, ElementsAre("/etc/f/java/shop.war", "/srv/b"));
  EXPECT_THAT(read(app("root = \"a\"\nworking_directory = \"w\"\ncommand = [\"./x\"]")).app.command,
              ElementsAre("/etc/f/w/x"));
  EXPECT_THAT(read(app("command = [\"{root}/x\"]")).app.command, ElementsAre("{root}/x"));
  EXPECT_THAT(read(app("command = [\"sh\", \"-c\", \"exec x ${port} {\\\"a\\\":1}\"]")).app.command.size(), 3u);
}

TEST(ParseApp, Instances) {
  const auto instances = [](const std::string& value) {
    const auto app = read(command("instances = " + value)).app;
    return std::pair(app.min_instances, app.max_instances);
  };
  EXPECT_EQ(instances("4"), std::pair(4u, 4u));
  EXPECT_EQ(instances("{ min = 3 }"), std::pair(3u, 3u));
  EXPECT_EQ(instances("{ max = 5 }"), std::pair(1u, 5u));
  EXPECT_EQ(instances("{ min = 0 }"), std::pair(0u, 1u));
  EXPECT_EQ(instances("{ min = 0, max = 1 }"), std::pair(0u, 1u));
  EXPECT_EQ(instances("{ idle_timeout = \"1s\" }"), std::pair(1u, 1u));
  // Without a cap on an instance's requests there is one for all; more come when it is slow to take them.
  EXPECT_EQ(read(command("instances = { min = 1, max = 4 }\nconcurrency = 0")).app.concurrency, 0u);
}

TEST(ParseApp, WhatIsLeftOutHasItsDefault) {
  const auto one = read(command(""));
  const App defaults;
  EXPECT_EQ(one.app.start_timeout, defaults.start_timeout);
  EXPECT_EQ(one.app.max_instances, 1u);
  EXPECT_EQ(one.app.protocol, Protocol::http);
  EXPECT_TRUE(one.app.pass_authorization);
  EXPECT_EQ(one.app.forward, kForwardAll);
  EXPECT_TRUE(one.app.tls_verify);
  EXPECT_EQ(one.app.health_path, "");
  EXPECT_THAT(one.app.address, IsEmpty());
}

struct Bad {
  std::string text;
  std::uint32_t line;
  std::string message;
  std::string mend;
  Fault::Severity severity = Fault::Severity::error;
};

// Each text has exactly the one fault.
void expect_each(const std::vector<Bad>& cases) {
  for (const auto& one : cases) {
    const auto loaded = parse(one.text, "f.toml", "/etc");
    EXPECT_EQ(loaded.config.has_value(), one.severity == Fault::Severity::warning) << one.text << told(loaded);
    ASSERT_EQ(loaded.faults.size(), 1u) << one.text << "\n" << told(loaded);
    const auto& fault = loaded.faults[0];
    EXPECT_EQ(fault.severity, one.severity) << one.text;
    EXPECT_EQ(fault.position.line, one.line) << one.text << told(loaded);
    EXPECT_THAT(fault.message, HasSubstr(one.message)) << one.text;
    EXPECT_THAT(fault.mend, HasSubstr(one.mend)) << one.text;
  }
}

// One word changed: what the model "module" reads of them.
TEST(ParseApp, AnApplicationInTheServersOwnWorkers) {
  auto one = read(app("wsgi = \"shop:application\"\nthreads = 4\nroot = \"shop\"\nvenv = \"env\""));
  EXPECT_EQ(one.model, Model::module);
  EXPECT_TRUE(one.module.application);
  EXPECT_EQ(one.module.language, Language::python);
  EXPECT_EQ(one.module.wsgi, "shop:application");
  EXPECT_EQ(one.module.venv, "/etc/f/shop/env");
  one = read(app("asgi = \"shop:app\"\nconcurrency = 7\ninstances = 1"));
  EXPECT_EQ(one.module.asgi, "shop:app");
  EXPECT_EQ(one.module.concurrency, 7u);
  EXPECT_EQ(read(app("psgi = \"app.psgi\"")).module.language, Language::perl);
}

TEST(ParseApp, FaultsOfWhatAnswers) {
  expect_each({
      {program("command = [\"x\"]"), 3, "has no model", "model = \"app\""},
      {app(""), 3, "none of 'command', 'wsgi', 'asgi', 'psgi', 'servlet' and 'address'", "command = ["},
      {app("command = [\"x\"]\nservlet = \"x.war\""), 6, "both 'command' and 'servlet'", "two programs"},
      {app("address = \"x:1\"\ncommand = [\"x\"]"), 6, "both 'address' and 'command'", ""},
      {app("command = \"node server.js\""), 5, "array of words", "command = [\"node\", \"server.js\"]"},
      {app("command = \"a && b\""), 5, "array of words", "\"/bin/sh\", \"-c\""},
      {app("command = 5"), 5, "an array of words, but is a whole number", ""},
      {app("command = []"), 5, "is empty", "server.js"},
      {app("command = [\"\"]"), 5, "empty word", ""},
      {app("command = [\"node server.js\"]"), 5, "space in it", "command = [\"node\", \"server.js\"]"},
      {app("command = [\"x\", 8080]"), 5, "strings only", "write \"8080\""},
      {app("command = [\"x\", \"unix:{sock}\"]"), 5, "{sock}, which nothing fills in", "did you mean {socket}?"},
      {app("command = [\"x\", \"{prot}\"]"), 5, "{prot}", "did you mean {port}?"},
      {app("command = [\"x\", \"{template}\"]"), 5, "stays as it is", "{socket}, {port}", Fault::Severity::warning},
      {app("command = [\"sh\", \"-c\", \"curl -d {post} x\"]"), 5, "{post}, which stays as it is", "",
       Fault::Severity::warning},
      {app("servlet = [\"a/x.war\", \"b/x\"]"), 5, "two that would answer under /x", "rename one"},
      {app("wsgi = \"shop\""), 5, "not \"module:callable\"", "shop:application"},
      {app("asgi = \"shop:app\"\ncommand = [\"x\"]"), 6, "both 'asgi' and 'command'", "two programs"},
      {app("asgi = \"shop:app\"\nhealth = { path = \"/\" }"), 6, "unknown key 'health'", "listens by itself"},
      {app("psgi = \"app.psgi\"\nenv = { SCRIPT_NAME = \"x\" }"), 6, "SCRIPT_NAME is computed", ""},
      {app("address = \"9000\""), 5, "needs a host", "127.0.0.1:9000"},
      {app("address = []"), 5, "is empty", ""},
      {app("address = [1]"), 5, "strings only", ""},
      {app("address = [\"x:80\", \"http://x\"]"), 5, "twice", "remove one"},
      {app("servlet = \"\""), 5, "path is missing", ""},
      {app("comand = [\"x\"]\naddress = \"x:1\""), 5, "unknown key 'comand'", "did you mean 'command'?"},
      {command("interpreter = \"perl\""), 6, "unknown key 'interpreter'", "goes with the model 'cgi'"},
      {command("language = \"php\""), 6, "unknown key 'language'", "goes with the model 'module'"},
      {program("model = \"function\"\nruntime = \"python3.11\""), 4,
       "'function' of program 'p' is not part of this build yet", "model = \"app\""},
  });
}

TEST(ParseApp, FaultsOfValues) {
  expect_each({
      {command("protocol = \"ajp\""), 6, "must be \"http\", \"h2c\", \"fastcgi\", \"scgi\" or \"uwsgi\"", ""},
      {command("protocol = \"fcgi\""), 6, "must be", ""},
      {command("ready = \"notfy\""), 6, "must be", "did you mean \"notify\"?"},
      {command("socket_activation = 1"), 6, "true or false", ""},
      {command("start_timeout = \"0s\""), 6, "longer than nothing", ""},
      {command("start_timeout = 60"), 6, "a duration with its unit", "\"60s\""},
      {command("start_retries = 0"), 6, "between 1 and 1000", ""},
      {command("instances = 0"), 6, "between 1 and 1000", "min = 0"},
      {command("instances = \"4\""), 6, "a whole number or a table", "instances = 4"},
      {command("instances = { min = 4, max = 2 }"), 6, "'max' in instances of [program.p] is 2, less than 'min', 4",
       "max = 4"},
      {command("instances = { max = 0 }"), 6, "between 1 and 1000", ""},
      {command("instances = { mx = 1 }"), 6, "unknown key 'mx' in instances of [program.p]", "did you mean 'max'?"},
      {command("concurrency = -1"), 6, "between 0 and", ""},
      {command("connect_timeout = \"0s\""), 6, "longer than nothing", ""},
      {command("tunnel_timeout = \"31d\""), 6, "at most 30 days", ""},
      {command("stop_grace = \"2h\""), 6, "over an hour", "\"1h\""},
      {command("max_age = \"10ms\""), 6, "less than a second", "\"0s\""},
      {command("max_memory = 512"), 6, "less than 1MB", "\"512MB\""},
      {command("max_memory = \"512XB\""), 6, "not a size", ""},
      {command("health = \"/up\""), 6, "must be a table", "health = { path = \"/up\" }"},
      {command("health = { interval = \"1s\" }"), 6, "has no 'path'", "path ="},
      {command("health = { path = \"up\" }"), 6, "begins with /", "\"/up\""},
      {command("health = { path = \"/a b\" }"), 6, "neither spaces", "%XX"},
      {command("health = { path = \"/\\r\\nX: y\" }"), 6, "neither spaces", ""},
      {command("health = { path = \"/\", failures = 0 }"), 6, "between 1 and 1000", ""},
      {command("sticky = true"), 6, "must be a string", ""},
      {command("sticky = \"a;b\""), 6, "not the name of a cookie", ""},
      {command("on_timeout = \"kill\""), 6, "must be \"keep\" or \"replace\"", ""},
      {command("request_buffering = \"on\""), 6, "true or false", ""},
      {command("body_memory = \"2GB\""), 6, "between 0 and 1GB", ""},
      {command("output_head = 1"), 6, "between 64 and 16MB", ""},
      {command("retries = 11"), 6, "between 0 and 10", ""},
      {command("host = \"a b\""), 6, "not a host", ""},
      {command("env = { PORT = \"80\" }"), 6, "PORT is computed by the server", "{port}"},
      {command("env = { FIVEFOLD_SOCKET = \"x\" }"), 6, "computed by the server", ""},
      {command("env = { \"A B\" = \"x\" }"), 6, "not the name of a variable", ""},
  });
}

TEST(ParseApp, FaultsOfKeysTogether) {
  expect_each({
      {address("instances = 4"), 6, "'instances' is for a process that the server starts", "remove it"},
      {address("user = \"x\""), 6, "somebody else starts what answers", ""},
      {address("limits = { memory = \"1GB\" }"), 6, "'limits' is for a process", ""},
      {address("env = { A = \"b\" }"), 6, "'env' is for a process", "where it is started"},
      {address("root = \"x\""), 6, "'root' goes with 'command'", ""},
      {address("socket_activation = true"), 6, "somebody else", ""},
      {address("protocol = \"fastcgi\"\nenv = { HTTP_PROXY = \"x\" }"), 7, "HTTP_PROXY is computed", ""},
      {address("protocol = \"fastcgi\"\nscript = \"index.php\""), 7, "no 'root' where its scripts are", "root ="},
      {address("protocol = \"fastcgi\"\nroot = \"x\"\nscript = \"../index.php\""), 8, "no file beneath the root", ""},
      {address("protocol = \"fastcgi\"\nroot = \"x\"\nscript = \"/a.php\""), 8, "no file beneath the root", ""},
      {address("protocol = \"fastcgi\"\nroot = \"x\"\nextensions = \"php\""), 8, "begins with a dot", "\".php\""},
      {address("protocol = \"fastcgi\"\nroot = \"x\"\nindex = \"a/b\""), 8, "without /", ""},
      {address("protocol = \"fastcgi\"\ntunnel_timeout = \"1h\""), 7, "WebSocket", ""},
      {command("script = \"index.php\""), 6, "'script' goes with protocol = \"fastcgi\"", "add protocol"},
      {command("tls = { verify = false }"), 6, "begins with https://", ""},
      {command("private_tmp = true\nenv = { TMPDIR = \"/x\" }"), 7, "both 'private_tmp' and a TMPDIR", ""},
      {app("address = \"https://x\"\nprotocol = \"fastcgi\""), 6, "spoken to in HTTP", ""},
      {app("address = \"https://x\"\ntls = { key = \"x\" }"), 6, "'certificate' and 'key' only together",
       "certificate"},
      {app("address = \"https://x\"\ntls = { name = \"x:1\" }"), 6, "not the name of a host", ""},
      {app("servlet = \"x.war\"\nready = \"notify\""), 6, "'ready' goes with 'command'", ""},
      {app("servlet = \"x.war\"\nprotocol = \"scgi\""), 6, "speaks HTTP", ""},
  });
}

TEST(ParseApp, KeysAreKnownToOtherModels) {
  for (const auto key : app_keys()) {
    const auto loaded = parse(program("model = \"function\"\n" + std::string(key) + " = 1"), "f", "/");
    EXPECT_EQ(loaded.faults.size(), 1u) << key << told(loaded);
  }
}

}  // namespace
}  // namespace fivefold::config
