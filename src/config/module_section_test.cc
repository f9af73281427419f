#include "config/module_section.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/load.h"
#include "config/parse_rig.h"

namespace fivefold::config {
namespace {

using testing::ElementsAre;
using testing::Pair;

struct Bad {
  std::string text;
  std::uint32_t line;
  std::string message, mend;
};
// Each text has exactly the one fault.
void expect_each(const std::vector<Bad>& cases) {
  for (const auto& one : cases) {
    const auto loaded = parse(one.text, "f.toml", "/etc");
    ASSERT_EQ(loaded.faults.size(), 1u) << one.text << "\n" << told(loaded);
    EXPECT_EQ(loaded.faults[0].position.line, one.line) << one.text << told(loaded);
    EXPECT_THAT(loaded.faults[0].message, testing::HasSubstr(one.message)) << one.text;
    EXPECT_THAT(loaded.faults[0].mend, testing::HasSubstr(one.mend)) << one.text;
  }
}

std::string module_program(const std::string& lines) {
  return "[[route]]\nrun = \"p\"\n[program.p]\nmodel = \"module\"\n" + lines + "\n";
}
std::string php(const std::string& line) { return module_program("language = \"php\"\nroot = \"www\"\n" + line); }

Module module_of(const std::string& text) {
  const auto loaded = parse(text, "f", "/etc/f");
  EXPECT_TRUE(loaded.config) << told(loaded);
  return loaded.config ? loaded.config->programs.front().module : Module{};
}

TEST(ParseModule, APhpSite) {
  const auto module = module_of(php(R"(try = ["{path}", "/app.php{path}"]
index = "start.php"
extensions = [".php", ".phtml"]
files = false
listing = true
symlinks = "owner"
no_scripts = ["uploads/", "./wp-content/uploads"]
ini = { memory_limit = "64M", "opcache.enable" = true, precision = 5 }
ini_admin = { open_basedir = "/srv" }
preload = "preload.php"
worker = "worker.php"
instances = { min = 0, max = 8, idle_timeout = "5s" }
start_timeout = "3s"
timeout_grace = "1s"
max_memory = "256MB"
buffer = "128KB"
request_buffering = false)"));
  EXPECT_EQ(module.language, Language::php);
  EXPECT_EQ(module.root, "/etc/f/www");
  EXPECT_THAT(module.try_files, ElementsAre("{path}", "/app.php{path}"));
  EXPECT_TRUE(module.try_given);
  EXPECT_THAT(module.index, ElementsAre("start.php"));
  EXPECT_THAT(module.extensions, ElementsAre(".php", ".phtml"));
  EXPECT_FALSE(module.files);
  EXPECT_TRUE(module.listing);
  EXPECT_EQ(module.symlinks, Symlinks::owner);
  EXPECT_THAT(module.no_scripts, ElementsAre("uploads", "wp-content/uploads"));
  EXPECT_THAT(module.ini,
              ElementsAre(Pair("memory_limit", "64M"), Pair("opcache.enable", "1"), Pair("precision", "5")));
  EXPECT_THAT(module.ini_admin, ElementsAre(Pair("open_basedir", "/srv")));
  EXPECT_THAT(module.preload, ElementsAre("/etc/f/www/preload.php"));
  EXPECT_EQ(module.worker, "/etc/f/www/worker.php");
  EXPECT_EQ(module.min_instances, 0u);
  EXPECT_EQ(module.max_instances, 8u);
  EXPECT_EQ(module.instance_idle_timeout, 5s);
  EXPECT_EQ(module.start_timeout, 3s);
  EXPECT_EQ(module.timeout_grace, 1s);
  EXPECT_EQ(module.max_memory, 256u << 20);
  EXPECT_EQ(module.buffer, 128u << 10);
  EXPECT_EQ(module.request_buffering, RequestBuffering::off);
}

TEST(ParseModule, WhatIsLeftOut) {
  const auto module = module_of(php(""));
  EXPECT_THAT(module.try_files, ElementsAre("{path}", "{path}/", "/index.php"));
  EXPECT_FALSE(module.try_given);
  EXPECT_EQ(module.min_instances, 4u);
  EXPECT_EQ(module.max_instances, 4u);
  EXPECT_EQ(module_of(php("instances = { max = 3 }")).min_instances, 1u) << "a table has defaults of its own";
}

TEST(ParseModule, PythonAndPerl) {
  auto module =
      module_of(module_program("language = \"python\"\nwsgi = \"shop.web:application\"\nroot = \"shop\"\n"
                               "venv = \"venv\"\npath = [\"lib\"]"));
  EXPECT_EQ(module.wsgi, "shop.web:application");
  EXPECT_EQ(module.venv, "/etc/f/shop/venv");
  EXPECT_THAT(module.path, ElementsAre("/etc/f/shop/lib"));
  EXPECT_EQ(module_of(module_program("language = \"python\"\nwsgi = \"a:b\"")).root, "/etc/f");
  module =
      module_of(module_program("language = \"perl\"\npsgi = \"app.psgi\"\npreload = [\"My::Library\", \"lib.pl\"]"));
  EXPECT_EQ(module.psgi, "/etc/f/app.psgi");
  EXPECT_THAT(module.preload, ElementsAre("My::Library", "/etc/f/lib.pl"));
  EXPECT_EQ(module_of(module_program("language = \"perl\"\nroot = \"cgi-bin\"")).root, "/etc/f/cgi-bin");
  EXPECT_EQ(module_of(module_program("psgi = \"app.psgi\"")).language, Language::perl);
  EXPECT_EQ(module_of(module_program("wsgi = \"a:b\"")).language, Language::python);
  EXPECT_EQ(module_of(module_program("wsgi = \"a:make_app('production', debug=False)\"")).wsgi,
            "a:make_app('production', debug=False)");
  module = module_of(module_program("wsgi = \"a:b\"\nthreads = 8\npreload = \"no\""));
  EXPECT_EQ(requests_at_once(module), 8u);
  EXPECT_THAT(module.preload, ElementsAre("no"));
  EXPECT_EQ(module.request_buffering, RequestBuffering::memory_then_disk);
}

TEST(ParseModule, AsgiHasManyRequestsAtOnceAndTakesTheirBodiesAsTheyCome) {
  auto module = module_of(module_program("asgi = \"shop:app\""));
  EXPECT_EQ(module.language, Language::python);
  EXPECT_EQ(module.asgi, "shop:app");
  EXPECT_EQ(module.root, "/etc/f");
  EXPECT_EQ(requests_at_once(module), 100u);
  EXPECT_EQ(module.loop, PythonLoop::any);
  EXPECT_EQ(module.request_buffering, RequestBuffering::off);
  module = module_of(module_program("asgi = \"a:b\"\nconcurrency = 7\nloop = \"uvloop\"\ntunnel_timeout = \"5m\""));
  EXPECT_EQ(requests_at_once(module), 7u);
  EXPECT_EQ(module.loop, PythonLoop::uvloop);
  EXPECT_EQ(module.tunnel_timeout, std::chrono::minutes(5));
  EXPECT_EQ(module.lifespan, Lifespan::where_known);
  module =
      module_of(module_program("asgi = \"a:b\"\nlifespan = \"off\"\nwebsocket_max_size = \"1MB\"\n"
                               "websocket_ping_interval = \"0s\"\nwebsocket_ping_timeout = \"5s\""));
  EXPECT_EQ(module.lifespan, Lifespan::off);
  EXPECT_EQ(module.websocket_max_size, 1048576u);
  EXPECT_EQ(module.websocket_ping_interval, std::chrono::seconds(0));
  EXPECT_EQ(module.websocket_ping_timeout, std::chrono::seconds(5));
}

TEST(ParseModule, Faults) {
  expect_each({
      {module_program("root = \"x\""), 3, "has no 'language'", "language = \"php\""},
      {module_program("language = \"ruby\"\nroot = \"x\""), 5, "must be \"php\", \"perl\" or \"python\"", ""},
      {module_program("language = \"php\""), 3, "has no 'root'", "add root"},
      {module_program("language = \"perl\""), 3, "none of 'root', 'script' and 'psgi'", "app.psgi"},
      {module_program("language = \"perl\"\nscript = \"a\"\npsgi = \"b\""), 7, "both 'script' and 'psgi'", ""},
      {module_program("language = \"perl\"\npsgi = \"b\"\nextensions = \".pl\""), 7, "a folder of scripts", ""},
      {module_program("language = \"python\"\nroot = \"x\""), 3, "neither 'wsgi' nor 'asgi'", "shop:application"},
      {module_program("wsgi = \"a:b\"\nasgi = \"a:c\""), 6, "both 'wsgi' and 'asgi'", "two programs"},
      {module_program("wsgi = \"a:b\"\nconcurrency = 8"), 6, "goes with 'asgi'", "write threads = 8"},
      {module_program("wsgi = \"a:b\"\nlifespan = \"on\""), 6, "goes with 'asgi'", "remove it"},
      {module_program("asgi = \"a:b\"\nwebsocket_max_size = \"2GB\""), 6, "between 1 byte and 1GB", "16MB"},
      {module_program("asgi = \"a:b\"\nwebsocket_ping_timeout = \"1500ms\""), 6, "whole seconds", "20s"},
      {module_program("asgi = \"a:b\"\nthreads = 8"), 6, "goes with 'wsgi'", "write concurrency = 8"},
      {module_program("wsgi = \"a:b\"\nloop = \"uvloop\""), 6, "goes with 'asgi'", "remove it"},
      {module_program("asgi = \"a:b\"\nloop = \"trio\""), 6, "\"auto\", \"uvloop\" or \"asyncio\"", ""},
      {module_program("asgi = \"a:b\"\nconcurrency = 0"), 6, "between 1 and 100000", ""},
      {module_program("wsgi = \"a:b\"\npreload = \"lib.py\""), 6, "neither \"yes\" nor \"no\"", ""},
      {module_program("psgi = \"a.psgi\"\nthreads = 2"), 6, "'threads' goes with Python", "remove it"},
      {module_program("language = \"python\"\nwsgi = \"shop.py\""), 6, "not \"module:callable\"", ""},
      {module_program("language = \"python\"\nwsgi = \"a:b\"\ntry = [\"{path}\"]"), 7, "'try' goes with PHP",
       "remove it"},
      {php("wsgi = \"a:b\""), 7, "'wsgi' goes with Python", "remove it"},
      {php("script = \"index.php\""), 7, "'script' goes with Perl", ""},
      {php("try = [\"index.php\"]"), 7, "{path}", ""},
      {php("try = [\"/{path}.php\"]"), 7, "files beneath root", ""},
      {php("try = [\"/../x.php\"]"), 7, "files beneath root", ""},
      {php("no_scripts = [\"/uploads\"]"), 7, "no path beneath root", "uploads"},
      {php("worker = \"../w.php\""), 7, "no path beneath root", ""},
      {php("preload = [\"a.php\", \"b.php\"]"), 7, "more than one file", ""},
      {php("ini = { \"a b\" = 1 }"), 7, "not the name of a setting", ""},
      {php("ini = { a = \"x\\ny\" }"), 7, "line feed", ""},
      {php("ini = { opcache.enable = 1 }"), 7, "is a table", "quotation marks"},
      {php("ini = { a = [1] }"), 7, "must be a string", ""},
      {php("buffer = 1"), 7, "between 64KB and", ""},
      {php("instances = 0"), 7, "between 1 and 1000", ""},
      {php("stop_grace = \"2h\""), 7, "over an hour", ""},
      {php("max_age = \"10ms\""), 7, "less than a second", ""},
      {php("max_memory = 100"), 7, "less than 1MB", ""},
      {php("comand = \"x\""), 7, "unknown key 'comand'", ""},
      {php("command = [\"x\"]"), 7, "unknown key 'command'", "goes with the model 'app'"},
      {php("interpreter = \"x\""), 7, "unknown key 'interpreter'", "goes with the model 'cgi'"},
      {php("env = { SCRIPT_NAME = \"x\" }"), 7, "SCRIPT_NAME is computed", ""},
  });
}

}  // namespace
}  // namespace fivefold::config
