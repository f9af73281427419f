#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/load.h"
#include "config/parse_rig.h"

namespace fivefold::config {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(Parse, EveryKey) {
  const auto loaded = parse(R"(
[server]
listen = ["127.0.0.1:8080", "*:80", { address = "unix:run/x.sock", proxy_protocol = true, mode = "0660", backlog = 16 }]
threads = 4
spawners = 2
user = "web"
group = "www"
access_log = "log/access.log"
access_format = "json"
log = "/var/log/f.log"
log_level = "warning"
program_logs = "./log/"
log_max_size = "10MB"
log_keep = 3
control = "run/f.sock"
trusted = ["10.0.0.0/8", "::1", "unix:"]
server_name = "example.org"
server_header = ""
error_detail = "page"
min_rate = "1KB"
min_rate_grace = "5s"
[server.limits]
request_line = 4096
head = "16KB"
fields = 50
body = "2GB"
connections = 500
requests_per_connection = 10
[server.timeouts]
head = "1s"
body = "2s"
idle = "3s"
send = "4s"
linger = "0s"
drain = "1m"
[server.error_pages]
404 = "404.html"
503 = "/srv/busy.html"
[server.compression]
enabled = false
min_size = 10
types = ["text/*", "application/json"]
gzip_level = 1
br_level = 0
zstd_level = 19
[server.open_file_cache]
entries = 1
content = "1MB"
memory = "2MB"
valid = "100ms"

[[route]]
host = ["Example.org.", "*.example.net"]
path = "/app/*"
method = "GET"
run = "one"
headers = { "X-A" = "b", Server = "" }
compress = false
body_limit = "1MB"
[[route]]
path = "/old/*"
redirect = { to = "https://{host}/new/{rest}{query}", status = 301 }
[[route]]
path = "/metrics"
metrics = true
[[route]]
path = "*.bak"
deny = true
[[route]]
path = "/two/*"
run = "two"
[[route]]
files = "www"
index = ["index.html", "index.htm"]
listing = true
dot_files = true
cache_control = "no-cache"
precompressed = false
symlinks = "owner"
max_ranges = 2
types = { ".wasm" = "application/wasm", ".txt" = "text/plain; charset=iso-8859-1" }

[program.two]
model = "cgi"
script = "two.cgi"
interpreter = ["bin/php-cgi", "-q"]
[program.one]
model = "cgi"
root = "cgi-bin"
extensions = [".cgi", ".pl"]
index = "index.cgi"
env = { PATH = "/bin", A_1 = "x" }
user = "alice"
group = "users"
working_directory = "."
timeout = "10s"
queue = 5
queue_timeout = "1s"
limits = { memory = "128MB", cpu = "10s", files = 64, processes = 8, file_size = "1GB", core = 0 }
max_requests = 7
watch = ["lib"]
first_byte_timeout = "1s"
idle_timeout = "2s"
stop_grace = "0s"
linger = "4s"
concurrency = 3
body_memory = "1KB"
output_head = "4KB"
index_query = true
nph = "off"
on_disconnect = "continue"
pass_authorization = true
xsendfile_root = "/srv/files"
)",
                            "f.toml", "/etc/f");
  ASSERT_TRUE(loaded.config) << told(loaded);
  EXPECT_EQ(told(loaded), "");
  const auto& server = loaded.config->server;
  ASSERT_EQ(server.listen.size(), 3u);
  EXPECT_EQ(server.listen[1].host, "");
  EXPECT_EQ(server.listen[1].port, 80);
  EXPECT_EQ(server.listen[2].unix_path, "/etc/f/run/x.sock");
  EXPECT_TRUE(server.listen[2].proxy_protocol);
  EXPECT_EQ(server.listen[2].unix_mode, 0660u);
  EXPECT_EQ(server.listen[2].backlog, 16u);
  EXPECT_EQ(server.listen[0].position.line, 3u);
  EXPECT_EQ(server.listen[0].position.column, 11u);
  EXPECT_EQ(server.threads, 4u);
  EXPECT_EQ(server.spawners, 2u);
  EXPECT_EQ(server.user, "web");
  EXPECT_EQ(server.group, "www");
  EXPECT_EQ(server.access_log, "/etc/f/log/access.log");
  EXPECT_EQ(server.access_format, LogFormat::json);
  EXPECT_EQ(server.log, "/var/log/f.log");
  EXPECT_EQ(server.log_level, "warning");
  EXPECT_EQ(server.program_logs, "/etc/f/log");
  EXPECT_EQ(server.log_max_size, 10u << 20);
  EXPECT_EQ(server.log_keep, 3u);
  EXPECT_EQ(server.control, "/etc/f/run/f.sock");
  EXPECT_THAT(server.trusted, ElementsAre("10.0.0.0/8", "::1", "unix:"));
  EXPECT_EQ(server.server_name, "example.org");
  EXPECT_EQ(server.server_header, "");
  EXPECT_EQ(server.error_detail, ErrorDetail::page);
  EXPECT_EQ(server.min_rate, 1024u);
  EXPECT_EQ(server.min_rate_grace, 5s);
  EXPECT_EQ(server.limits.request_line, 4096u);
  EXPECT_EQ(server.limits.head, 16384u);
  EXPECT_EQ(server.limits.fields, 50u);
  EXPECT_EQ(server.limits.body, 2ull << 30);
  EXPECT_EQ(server.limits.connections, 500u);
  EXPECT_EQ(server.limits.requests_per_connection, 10u);
  EXPECT_EQ(server.timeouts.head, 1s);
  EXPECT_EQ(server.timeouts.body, 2s);
  EXPECT_EQ(server.timeouts.idle, 3s);
  EXPECT_EQ(server.timeouts.send, 4s);
  EXPECT_EQ(server.timeouts.linger, 0s);
  EXPECT_EQ(server.timeouts.drain, 60s);
  EXPECT_THAT(server.error_pages, ElementsAre(Pair(404, "/etc/f/404.html"), Pair(503, "/srv/busy.html")));
  EXPECT_FALSE(server.compression.enabled);
  EXPECT_EQ(server.compression.min_size, 10u);
  EXPECT_THAT(server.compression.types, ElementsAre("text/*", "application/json"));
  EXPECT_EQ(server.compression.gzip_level, 1);
  EXPECT_EQ(server.compression.br_level, 0);
  EXPECT_EQ(server.compression.zstd_level, 19);
  EXPECT_EQ(server.open_file_cache.entries, 1u);
  EXPECT_EQ(server.open_file_cache.content, 1u << 20);
  EXPECT_EQ(server.open_file_cache.memory, 2u << 20);
  EXPECT_EQ(server.open_file_cache.valid, 100ms);

  const auto& routes = loaded.config->routes;
  ASSERT_EQ(routes.size(), 6u);
  EXPECT_THAT(routes[0].hosts, ElementsAre("example.org", "*.example.net"));
  EXPECT_EQ(routes[0].action, Action::run);
  EXPECT_EQ(routes[0].run, "one");
  EXPECT_THAT(routes[0].methods, ElementsAre("GET"));
  EXPECT_THAT(routes[0].headers, ElementsAre(Pair("X-A", "b"), Pair("Server", "")));
  EXPECT_EQ(routes[0].compress, false);
  EXPECT_EQ(routes[0].body_limit, 1u << 20);
  EXPECT_EQ(routes[1].action, Action::redirect);
  EXPECT_EQ(routes[1].redirect.to, "https://{host}/new/{rest}{query}");
  EXPECT_EQ(routes[1].redirect.status, 301);
  EXPECT_EQ(routes[2].action, Action::metrics);
  EXPECT_EQ(routes[3].action, Action::deny);
  EXPECT_EQ(routes[5].action, Action::files);
  EXPECT_EQ(routes[5].path, "/*");
  EXPECT_EQ(routes[5].files.root, "/etc/f/www");
  EXPECT_THAT(routes[5].files.index, ElementsAre("index.html", "index.htm"));
  EXPECT_TRUE(routes[5].files.listing);
  EXPECT_TRUE(routes[5].files.dot_files);
  EXPECT_EQ(routes[5].files.cache_control, "no-cache");
  EXPECT_FALSE(routes[5].files.precompressed);
  EXPECT_EQ(routes[5].files.symlinks, Symlinks::owner);
  EXPECT_EQ(routes[5].files.max_ranges, 2u);
  EXPECT_THAT(routes[5].files.types,
              ElementsAre(Pair(".wasm", "application/wasm"), Pair(".txt", "text/plain; charset=iso-8859-1")));

  ASSERT_EQ(loaded.config->programs.size(), 2u);
  EXPECT_EQ(loaded.config->programs[0].name, "two");
  EXPECT_EQ(loaded.config->programs[0].cgi.script, "/etc/f/two.cgi");
  EXPECT_THAT(loaded.config->programs[0].cgi.interpreter, ElementsAre("/etc/f/bin/php-cgi", "-q"));
  const auto& one = loaded.config->programs[1];
  EXPECT_EQ(one.cgi.root, "/etc/f/cgi-bin");
  EXPECT_THAT(one.cgi.extensions, ElementsAre(".cgi", ".pl"));
  EXPECT_THAT(one.cgi.index, ElementsAre("index.cgi"));
  EXPECT_THAT(one.env, ElementsAre(Pair("PATH", "/bin"), Pair("A_1", "x")));
  EXPECT_EQ(one.user, "alice");
  EXPECT_EQ(one.group, "users");
  EXPECT_EQ(one.working_directory, "/etc/f");
  EXPECT_EQ(one.timeout, 10s);
  EXPECT_EQ(one.queue, 5u);
  EXPECT_EQ(one.queue_timeout, 1s);
  EXPECT_EQ(one.limits.memory, 128u << 20);
  EXPECT_EQ(one.limits.cpu_seconds, 10u);
  EXPECT_EQ(one.limits.files, 64u);
  EXPECT_EQ(one.limits.processes, 8u);
  EXPECT_EQ(one.limits.file_size, 1u << 30);
  EXPECT_EQ(one.limits.core, 0u);
  EXPECT_EQ(one.max_requests, 7u);
  EXPECT_THAT(one.watch, ElementsAre("/etc/f/lib"));
  EXPECT_EQ(one.cgi.first_byte_timeout, 1s);
  EXPECT_EQ(one.cgi.idle_timeout, 2s);
  EXPECT_EQ(one.cgi.stop_grace, 0s);
  EXPECT_EQ(one.cgi.linger, 4s);
  EXPECT_EQ(one.cgi.concurrency, 3u);
  EXPECT_EQ(one.cgi.body_memory, 1024u);
  EXPECT_EQ(one.cgi.output_head, 4096u);
  EXPECT_TRUE(one.cgi.index_query);
  EXPECT_EQ(one.cgi.nph, Nph::off);
  EXPECT_EQ(one.cgi.on_disconnect, OnDisconnect::continue_);
  EXPECT_TRUE(one.cgi.pass_authorization);
  EXPECT_EQ(one.cgi.xsendfile_root, "/srv/files");
  EXPECT_EQ(loaded.config->positions.at("server.user").line, 6u);
  EXPECT_TRUE(loaded.config->positions.contains("route[5].files"));
  EXPECT_TRUE(loaded.config->positions.contains("program.one.root"));
}

TEST(Parse, WhatIsLeftOutHasItsDefault) {
  const auto loaded = parse(kRoute, "f.toml", "/etc");
  ASSERT_TRUE(loaded.config);
  EXPECT_TRUE(loaded.faults.empty());
  EXPECT_TRUE(loaded.config->server.listen.empty());
  EXPECT_EQ(loaded.config->server.access_log, "-");
  EXPECT_EQ(loaded.config->server.limits.body, 1u << 30);
  EXPECT_EQ(loaded.config->routes[0].files.root, "/etc/www");
  EXPECT_THAT(loaded.config->routes[0].files.index, ElementsAre("index.html"));
}

TEST(Parse, ProgramsKeepTheOrderOfTheFile) {
  const auto loaded = parse(
      "[[route]]\npath=\"/a\"\nrun=\"z\"\n[[route]]\npath=\"/b\"\nrun=\"a\"\n[[route]]\npath=\"/c\"\nrun=\"m\"\n"
      "[program.z]\nmodel=\"cgi\"\nscript=\"z\"\n[program.a]\nmodel=\"cgi\"\nscript=\"z\"\n[program]\nm={model=\"cgi\","
      "script=\"z\"}\n",
      "f", "/");
  // TOML has [program] after [program.z] as an addition to it.
  ASSERT_TRUE(loaded.config) << told(loaded);
  ASSERT_EQ(loaded.config->programs.size(), 3u);
  EXPECT_EQ(loaded.config->programs[0].name, "z");
  EXPECT_EQ(loaded.config->programs[1].name, "a");
  EXPECT_EQ(loaded.config->programs[2].name, "m");
}

TEST(Parse, TheLanguageOfACgiProgramStandsForItsInterpreter) {
  const auto loaded = parse(
      "[[route]]\nrun = \"site\"\n"
      "[program.site]\nmodel = \"cgi\"\nlanguage = \"php\"\nroot = \"www\"\n"
      "[program.one]\nmodel = \"cgi\"\nlanguage = \"php\"\nscript = \"one.php\"\ninterpreter = \"php\"\n"
      "[program.perl]\nmodel = \"cgi\"\nlanguage = \"perl\"\nroot = \"cgi-bin\"\n",
      "f", "/");
  ASSERT_TRUE(loaded.config) << told(loaded);
  const auto& programs = loaded.config->programs;
  EXPECT_THAT(programs[0].cgi.interpreter, ElementsAre("php-cgi"));
  EXPECT_THAT(programs[0].cgi.extensions, ElementsAre(".php"));
  EXPECT_THAT(programs[0].cgi.index, ElementsAre("index.php"));
  EXPECT_THAT(programs[1].cgi.interpreter, ElementsAre("php"));
  EXPECT_TRUE(programs[1].cgi.extensions.empty());
  EXPECT_TRUE(programs[2].cgi.interpreter.empty());
  EXPECT_TRUE(programs[2].cgi.extensions.empty());
}

TEST(Parse, LettersBeyondAsciiAreFineInCommentsAndStrings) {
  const auto loaded = parse(
      "# caf\xc3\xa9 \xd1\x9b\n[[route]]\npath = \"/caf\xc3\xa9/*\"\nfiles = \"Stra\xc3\x9f"
      "e\"\n",
      "f", "/");
  ASSERT_TRUE(loaded.config) << told(loaded);
  EXPECT_EQ(loaded.config->routes[0].files.root,
            "/Stra\xc3\x9f"
            "e");
}

TEST(Parse, AThousandRoutesAreRead) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "[[route]]\nhost = \"h" + std::to_string(i) + ".example\"\nfiles = \"www\"\n";
  const auto loaded = parse(text, "f", "/");
  ASSERT_TRUE(loaded.config) << told(loaded);
  EXPECT_EQ(loaded.config->routes.size(), 1000u);
  EXPECT_TRUE(loaded.faults.empty());
}

}  // namespace
}  // namespace fivefold::config
