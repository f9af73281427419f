#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/load.h"
#include "config/parse_rig.h"

namespace fivefold::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Bad {
  std::string text;
  std::uint32_t line;
  std::string message;
  std::string mend;
  Fault::Severity severity = Fault::Severity::error;
};
constexpr auto kWarning = Fault::Severity::warning;

// Each text has exactly the one fault.
void expect_each(const std::vector<Bad>& cases) {
  for (const auto& one : cases) {
    const auto loaded = parse(one.text, "f.toml", "/etc");
    EXPECT_EQ(loaded.config.has_value(), one.severity == kWarning) << one.text << told(loaded);
    ASSERT_EQ(loaded.faults.size(), 1u) << one.text << "\n" << told(loaded);
    const auto& fault = loaded.faults[0];
    EXPECT_EQ(fault.severity, one.severity) << one.text;
    EXPECT_EQ(fault.position.line, one.line) << one.text << told(loaded);
    EXPECT_GT(fault.position.column, 0u);
    EXPECT_THAT(fault.message, HasSubstr(one.message)) << one.text;
    EXPECT_THAT(fault.mend, HasSubstr(one.mend)) << one.text;
  }
}

std::string server(const std::string& line) { return std::string(kRoute) + "[server]\n" + line + "\n"; }

TEST(Parse, FaultsOfTheServer) {
  expect_each({
      {server("lisen = \"*:80\""), 5, "unknown key 'lisen' in [server]", "did you mean 'listen'?"},
      {server("frobnicate = 1"), 5, "unknown key 'frobnicate' in [server]", "docs/configuration.md"},
      {server("listen = 8080"), 5, "must be a string", "127.0.0.1:8080"},
      {server("listen = [8080]"), 5, "but is a whole number", "127.0.0.1:8080"},
      {server("listen = []"), 5, "is empty", "127.0.0.1:8080"},
      {server("listen = \"localhost\""), 5, "needs a port", "localhost:8080"},
      {server("listen = \"1.1.1.1:70000\""), 5, "from 0 to 65535", ""},
      {server("listen = [\"*:80\", \"*:80\"]"), 5, "twice", "remove one"},
      {server("listen = [\"unix:/x\", { address = \"unix:/x\" }]"), 5, "twice", "remove one"},
      {server("listen = [{ proxy_protocol = true }]"), 5, "no address", ""},
      {server("listen = [{ address = 1 }]"), 5, "must be a string", ""},
      {server("listen = [{ address = \"*:1\", mode = \"0660\" }]"), 5, "unix sockets only", "leave it out"},
      {server("listen = [{ address = \"unix:/x\", mode = \"0888\" }]"), 5, "octal", "0660"},
      {server("listen = [{ address = \"unix:/x\", mode = 660 }]"), 5, "octal", "0660"},
      {server("listen = [{ address = \"*:1\", backlog = 0 }]"), 5, "between 1 and 65535", ""},
      {server("listen = [{ address = \"*:1\", proxy = true }]"), 5, "unknown key 'proxy'",
       "did you mean 'proxy_protocol'?"},
      {server("threads = \"4\""), 5, "must be a whole number, but is a string", "quotation marks"},
      {server("threads = -1"), 5, "between 0 and 1024", ""},
      {server("threads = 1.5"), 5, "a number with a fraction", ""},
      {server("user = 33"), 5, "must be a string, but is a whole number", "user = \"33\""},
      {server("user = \"a b\""), 5, "not a name of a user", ""},
      {server("access_log = \"\""), 5, "path is missing", ""},
      {server("access_log = \"~/log\""), 5, "~ means nothing", "whole path"},
      {server("access_format = \"jsn\""), 5, "must be \"combined\" or \"json\"", "did you mean \"json\"?"},
      {server("log = \"off\""), 5, "cannot be off", "log_level"},
      {server("log_level = \"warn\""), 5, "must be", "did you mean \"warning\"?"},
      {server("log_max_size = 5000"), 5, "less than 64KB", "or 0 for no limit"},
      {server("log_max_size = \"big\""), 5, "not a size", ""},
      {server("log_keep = 0"), 5, "between 1 and 1000", ""},
      {server("trusted = [\"10.0.0.0/33\"]"), 5, "number after /", "0 to 32"},
      {server("trusted = [\"proxy.example\"]"), 5, "neither an address nor a range", ""},
      {server("trusted = [1]"), 5, "strings only", ""},
      {server("server_name = \"a:80\""), 5, "no port", ""},
      {server("server_header = \"a\\nb\""), 5, "control characters", ""},
      {server("error_detail = true"), 5, "must be a string", "\"id\" or \"page\""},
      {server("min_rate = -5"), 5, "not a size", ""},
      {server("min_rate_grace = 5"), 5, "a duration with its unit", "min_rate_grace = \"5s\""},
      {server("error_pages = { 200 = \"x\" }"), 5, "not the status of an error", "404 = \"404.html\""},
      {server("error_pages = { nope = \"x\" }"), 5, "not the status of an error", ""},
      {server("error_pages = { 404 = 1 }"), 5, "must be a string", ""},
      {server("limits = 5"), 5, "must be a table, but is a whole number", ""},
      {server("limits = { hed = 1 }"), 5, "unknown key 'hed' in [server.limits]", "did you mean 'head'?"},
      {server("limits = { body = \"1XB\" }"), 5, "not a size", "\"64KB\""},
      {server("limits = { body = \"99999999TB\" }"), 5, "not a size", ""},
      {server("limits = { head = 1 }"), 5, "between 256 and 16MB", ""},
      {server("limits = { head = 4096 }"), 5, "larger than 'head'", "at least 8KB"},
      {server("timeouts = { head = \"10\" }"), 5, "not a duration", "\"30s\""},
      {server("timeouts = { head = \"0s\" }"), 5, "longer than nothing", ""},
      {server("timeouts = { head = \"-1s\" }"), 5, "not a duration", ""},
      {server("timeouts = { idle = \"999d\" }"), 5, "at most 30 days", ""},
      {server("timeouts = { idle = -1 }"), 5, "must be a duration", ""},
      {server("compression = { types = [\"text\"] }"), 5, "not a media type", ""},
      {server("compression = { gzip_level = 10 }"), 5, "between 1 and 9", ""},
      {server("compression = { enabled = \"true\" }"), 5, "must be true or false", "quotation marks"},
      {server("control = \"/" + std::string(120, 'a') + "\""), 5, "107 bytes", "shorter"},
      {server("access_log = \"a\\u0000b\""), 5, "NUL", ""},
  });
}

std::string route(const std::string& lines) { return "[[route]]\n" + lines + "\n"; }

TEST(Parse, FaultsOfRoutes) {
  expect_each({
      {route("path = \"/a\""), 1, "does nothing", "run, files, redirect"},
      {route("files = \"a\"\nmetrics = true"), 3, "both 'files' and 'metrics'", "two routes"},
      {route("metrics = false"), 2, "can only be true", ""},
      {route("deny = true\nindex = \"a\""), 3, "goes with 'files'", "remove"},
      {route("files = \"a\"\npth = \"/\""), 3, "unknown key 'pth' in a [[route]]", "did you mean 'path'?"},
      {route("files = \"a\"\npath = \"a\""), 3, "begins with /", "\"/a\""},
      {route("files = \"a\"\npath = 5"), 3, "must be a string", ""},
      {route("files = \"a\"\nhost = \"a.org:80\""), 3, "not by port", "leave out the port"},
      {route("files = \"a\"\nhost = []"), 3, "is empty", ""},
      {route("files = \"a\"\nhost = \"*\""), 3, "lone *", ""},
      {route("files = \"a\"\nmethod = \"get\""), 3, "told apart by case", "\"GET\""},
      {route("files = \"a\"\nmethod = [\"CONNECT\"]"), 3, "never passes", ""},
      {route("files = 1"), 2, "must be a string", "files = \"1\""},
      {route("files = \"a\"\nlisting = 1"), 3, "must be true or false", ""},
      {route("files = \"a\"\nindex = \"a/b\""), 3, "without /", ""},
      {route("files = \"a\"\nsymlinks = \"folow\""), 3, "must be", "did you mean \"follow\"?"},
      {route("files = \"a\"\ncache_control = \"a\\rb\""), 3, "control characters", ""},
      {route("files = \"a\"\ntypes = { x = \"a/b\" }"), 3, "not a suffix", "\".x\""},
      {route("files = \"a\"\ntypes = { \".x\" = \"ab\" }"), 3, "media type", ""},
      {route("files = \"a\"\nheaders = { \"A B\" = \"c\" }"), 3, "not the name of a header field", ""},
      {route("files = \"a\"\nheaders = { A = \"c\\nd\" }"), 3, "control character", ""},
      {route("files = \"a\"\nheaders = { A = 1 }"), 3, "must be a string", ""},
      {route("files = \"a\"\nheaders = { transfer-encoding = \"chunked\" }"), 3, "server's own", "leave it out"},
      {route("files = \"a\"\ncompress = 1"), 3, "true or false", ""},
      {route("files = \"a\"\nbody_limit = \"big\""), 3, "not a size", ""},
      {route("redirect = \"/x\""), 2, "must be a table", "redirect = { to ="},
      {route("redirect = { status = 301 }"), 2, "no 'to'", ""},
      {route("redirect = { to = \"/x\", status = 200 }"), 2, "between 300 and 399", ""},
      {route("redirect = { to = \"/x\", status = 304 }"), 2, "301, 302, 303, 307 or 308", ""},
      {route("redirect = { to = \"/x\\r\\nA: b\" }"), 2, "control characters", ""},
      {route("redirect = { to = \"/a b\" }"), 2, "spaces", "%XX"},
      {route("redirect = { to = \"/{rset}\" }"), 2, "there is no {rset}", "{rest}"},
      {route("redirect = { to = \"/{rest\" }"), 2, "there is no {rest", ""},
      {route("redirect = { to = \"javascript:x\" }"), 2, "begins with /", ""},
      {route("path = \"/a\"\nredirect = { to = \"/a\" }"), 3, "to itself", ""},
      {route("run = \"x\""), 2, "there is no program \"x\"", "[program.x]"},
      {"[route]\nfiles = \"a\"\n", 1, "[[route]]", "[[route]]"},
      {"route = 1\n", 1, "must be an array of tables", ""},
      {"", 1, "no [[route]]", "", kWarning},
      {route("files = \"a\"\n[[route]]\npath = \"/b\"\nfiles = \"b\""), 3, "can never match", "line 1", kWarning},
  });
}

std::string program(const std::string& lines, const std::string& name = "p") {
  return "[[route]]\nrun = \"p\"\n[program." + name + "]\n" + lines + "\n";
}
std::string cgi(const std::string& line) { return program("model = \"cgi\"\nscript = \"x\"\n" + line); }

TEST(Parse, FaultsOfPrograms) {
  expect_each({
      {program("script = \"x\""), 3, "has no model", "model = \"cgi\""},
      {program("model = \"cig\"\nscript = \"x\""), 4, "must be \"cgi\"", "did you mean \"cgi\"?"},

      {program("language = \"php\"\nroot = \"x\""), 3, "has no model", "model = \"module\""},
      {program("model = \"function\"\nruntime = \"python3.11\"\nhandler = \"a.b\"\nmemory = \"128MB\""), 4,
       "model 'function'", ""},
      {program("model = \"cgi\""), 3, "neither 'root' nor 'script'", "cgi-bin"},
      {program("model = \"cgi\"\nroot = \"a\"\nscript = \"b\""), 6, "both 'root' and 'script'", ""},
      {cgi("extensions = [\".a\"]"), 6, "goes with 'root'", ""},
      {cgi("command = [\"node\"]"), 6, "unknown key 'command'", "model 'app'"},
      {cgi("timeuot = \"1s\""), 6, "unknown key 'timeuot' in [program.p]", "did you mean 'timeout'?"},
      {cgi("timeout = 3"), 6, "a duration with its unit", "timeout = \"3s\""},
      {cgi("env = { CONTENT_LENGTH = \"1\" }"), 6, "CONTENT_LENGTH is computed by the server", ""},
      {cgi("env = { HTTP_X = \"1\" }"), 6, "HTTP_X is computed by the server", ""},
      {cgi("env = { HTTP_PROXY = \"1\" }"), 6, "HTTP_PROXY is computed by the server", "http_proxy"},
      {cgi("env = { REDIRECT_STATUS = \"1\" }"), 6, "REDIRECT_STATUS is computed", ""},
      {cgi("env = { \"A=B\" = \"1\" }"), 6, "not the name of a variable", ""},
      {cgi("env = { 1A = \"1\" }"), 6, "not the name of a variable", ""},
      {cgi("env = { A = \"x\\u0000\" }"), 6, "NUL", ""},
      {cgi("env = { PORT = 80 }"), 6, "must be a string", "PORT = \"80\""},
      {cgi("env = [\"A=b\"]"), 6, "must be a table", ""},
      {cgi("limits = { memory = \"1KB\" }"), 6, "less than 1MB", "128MB"},
      {cgi("limits = { cpu = \"500ms\" }"), 6, "whole seconds", ""},
      {cgi("limits = { cpu = 5 }"), 6, "a duration with its unit", "cpu = \"5s\""},
      {cgi("limits = { files = 3 }"), 6, "less than 8", ""},
      {cgi("limits = { mem = \"1GB\" }"), 6, "unknown key 'mem' in limits of [program.p]", "did you mean 'memory'?"},
      {cgi("interpreter = \"php-cgi -q\""), 6, "space in it", "array"},
      {cgi("interpreter = [\"\"]"), 6, "empty word", ""},
      {cgi("nph = \"on\""), 6, "must be \"reframe\" or \"off\"", ""},
      {cgi("on_disconnect = \"continu\""), 6, "must be", "did you mean \"continue\"?"},
      {cgi("concurrency = -1"), 6, "between 0 and", ""},
      {program("model = \"cgi\"\nroot = \"x\"\nextensions = [\"cgi\"]"), 6, "begins with a dot", "\".cgi\""},
      {"[[route]]\npath = \"/y\"\nrun = \"pp\"\n[program.ppp]\nmodel = \"cgi\"\nscript = "
       "\"x\"\n[[route]]\npath=\"/x\"\nrun = \"ppp\"\n",
       3, "there is no program \"pp\"", "did you mean \"ppp\"?"},
  });
}

TEST(Parse, FaultsOfTheFile) {
  expect_each({
      {"[[route]\n", 1, "this is not TOML", ""},
      {"a = \n", 1, "this is not TOML", ""},
      {"[[/x]]\n", 1, "expected bare key starting character", ""},
      {"[%]\n", 1, "expected bare key starting character", ""},
      {"a = tru\ne\n", 1, "this is not TOML", ""},
      {"\xc3\xa9 = 1\n", 1, "this is not TOML", ""},
      {std::string(kRoute) + "[program.a]\nmodel = \"cgi\"\nscript = \"x\"\n[program.a]\nmodel = \"cgi\"\n", 7,
       "redefine", "rename"},
      {std::string(kRoute) + "[program.a]\nmodel = \"cgi\"\nscript = \"x\"\n", 4, "no route runs program 'a'",
       "run = \"a\"", kWarning},
      {std::string(kRoute) + "[servers]\n", 4, "unknown key 'servers'", "did you mean 'server'?"},
      {"listen = \"*:80\"\n" + std::string(kRoute), 1, "unknown key 'listen' in the file", "[server]"},
      {"[limits]\n" + std::string(kRoute), 1, "unknown key 'limits' in the file", "[server.limits]"},
      {std::string(kRoute) + "[program]\nmodel = \"cgi\"\n", 5, "is not a program", "[program.NAME]"},
      {std::string(kRoute) + "[[program]]\n", 4, "a table for each program", "[program.NAME]"},
      {"[[route]]\nrun = \"../x\"\n[program.\"../x\"]\nmodel = \"cgi\"\nscript = \"x\"\n", 3, "cannot name a program",
       ""},
      {std::string("files = \"\xff\"\n"), 1, "this is not TOML", ""},
      {std::string(2000, 'a') + std::string(2000, '.') + "=1", 1, "1000 dots", ""},
  });
}

TEST(Parse, TellsEverythingAtOnceInTheOrderOfTheFile) {
  const auto loaded = parse(R"([server]
threads = "many"
lisen = "*:80"
[server.timeouts]
head = 10
[[route]]
path = "cgi-bin/*"
run = "scrips"
[program.scripts]
model = "cgi"
timeout = "never"
)",
                            "f.toml", "/etc");
  EXPECT_FALSE(loaded.config);
  std::vector<std::uint32_t> lines;
  for (const auto& fault : loaded.faults) lines.push_back(fault.position.line);
  EXPECT_THAT(lines, ElementsAre(2, 3, 5, 7, 8, 9, 9, 11)) << told(loaded);
  EXPECT_THAT(told(loaded), HasSubstr("f.toml:3:1: error: unknown key 'lisen' in [server]; did you mean 'listen'?"));
  EXPECT_THAT(told(loaded), HasSubstr("f.toml:8:7: error: there is no program \"scrips\"; did you mean \"scripts\"?"));
}

TEST(Parse, DeepKeysAreUnknownKeys) {
  std::string text = "a";
  for (int i = 0; i < 999; ++i) text += ".a";
  const auto loaded = parse(text + " = 1\n" + kRoute, "f", "/");
  EXPECT_FALSE(loaded.config);
  ASSERT_EQ(loaded.faults.size(), 1u) << told(loaded);
}

}  // namespace
}  // namespace fivefold::config
