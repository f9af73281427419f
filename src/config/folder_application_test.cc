// What `serve` makes of folders that are applications.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/folder.h"
#include "config/load.h"
#include "config/path_pattern.h"
#include "config/temporary_folder.h"

namespace fivefold::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

class FolderApplication : public ::testing::Test {
 protected:
  FolderApplication() {
    for (const auto* tool : {"node", "npm", "gunicorn", "uvicorn", "starman", "puma", "bundle", "java"})
      tools_.write(tool, "#!/bin/sh\n", 0755);
  }

  Config read() {
    const auto text = read_folder(folder_.path(), {}, path_).toml;
    auto loaded = parse(text, "serve", folder_.path());
    for (const auto& fault : loaded.faults) ADD_FAILURE() << to_string(fault) << "\n" << text;
    if (!loaded.config) return {};
    for (const auto& fault : inspect(*loaded.config))
      if (fault.severity == Fault::Severity::error) ADD_FAILURE() << to_string(fault) << "\n" << text;
    return std::move(*loaded.config);
  }

  // What answers `path`; a program without a name when nothing does.
  static Program answer(const Config& config, const std::string& path) {
    for (const auto& route : config.routes) {
      if (!covers_path(route.path, path)) continue;
      for (const auto& program : config.programs)
        if (route.action == Action::run && program.name == route.run) return program;
      Program other;
      other.model = Model::function;
      other.name = route.action == Action::files ? "files" : "deny";
      return other;
    }
    return {};
  }

  Found found(const std::string& what) {
    for (auto& one : read_folder(folder_.path(), {}, path_).found)
      if (one.what.find(what) != std::string::npos) return one;
    ADD_FAILURE() << what;
    return {};
  }

  TemporaryFolder folder_;
  TemporaryFolder tools_;
  ToolPath path_{.usual = tools_.path()};
};

TEST_F(FolderApplication, EachIsStartedInItsFolderAndMountedThere) {
  folder_.write("index.html", "x");
  folder_.write("wsgi/wsgi.py", "app = make()\n");
  folder_.write("asgi/asgi.py", "");
  folder_.write("psgi/app.psgi", "x");
  folder_.write("rack/config.ru", "x");
  folder_.write("bundled/config.ru", "x");
  folder_.write("bundled/Gemfile", "x");
  folder_.write("plain/package.json", R"({"scripts":{"start":"node  src/index.js"}})");
  folder_.write("plain/src/index.js", "x");
  folder_.write("npm/package.json", R"({"scripts":{"start":"NODE_ENV=x node index.js"}})");
  folder_.write("node/server.js", "x");
  folder_.write("node2/app.mjs", "import http from 'node:http';\nhttp.createServer(f).listen(80)");
  folder_.write("flask/app.py", "from flask import Flask\nsite = Flask(__name__)\n");
  folder_.write("factory/app.py", "from flask import Flask\ndef create_app():\n  return Flask('x')\n");
  folder_.write("fast/main.py", "app = FastAPI()\n");
  folder_.write("django/manage.py", "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings.dev')  # django\n");
  folder_.write("django/shop/wsgi.py", "application = get_wsgi_application()\n");
  folder_.write("django/package.json", R"({"scripts":{"start":"webpack serve"}})");
  folder_.write("procfile/Procfile", "worker: x\nweb: exec thing --port $PORT\r\n");
  folder_.write("own/server", "#!/bin/sh\n", 0755);
  folder_.write("exploded/WEB-INF/web.xml", "<web-app/>");
  folder_.write("deep/er/server.js", "x");
  const auto config = read();
  struct Case {
    const char* folder;
    std::vector<std::string> command;
    bool strip_prefix;
  };
  const Case cases[] = {
      {"wsgi", {"gunicorn", "wsgi:app", "--bind", "unix:{socket}", "--env", "SCRIPT_NAME=/wsgi"}, false},
      {"asgi",
       {"uvicorn", "asgi:application", "--uds", "{socket}", "--forwarded-allow-ips", "*", "--root-path", "/asgi"},
       true},
      {"psgi", {"starman", "--listen", "{socket}", "app.psgi"}, true},
      {"rack", {"puma", "-b", "unix://{socket}"}, true},
      {"bundled", {"bundle", "exec", "puma", "-b", "unix://{socket}"}, true},
      {"plain", {"node", "src/index.js"}, true},
      {"npm", {"npm", "start"}, true},
      {"node", {"node", "server.js"}, true},
      {"node2", {"node", "app.mjs"}, true},
      {"flask", {"gunicorn", "app:site", "--bind", "unix:{socket}", "--env", "SCRIPT_NAME=/flask"}, false},
      {"factory", {"gunicorn", "app:create_app()", "--bind", "unix:{socket}", "--env", "SCRIPT_NAME=/factory"}, false},
      {"fast",
       {"uvicorn", "main:app", "--uds", "{socket}", "--forwarded-allow-ips", "*", "--root-path", "/fast"},
       true},
      {"django",
       {"gunicorn", "shop.wsgi:application", "--bind", "unix:{socket}", "--env", "SCRIPT_NAME=/django"},
       false},
      {"procfile", {"/bin/sh", "-c", "exec thing --port $PORT"}, true},
      {"own", {folder_ / "own/server"}, true},
      {"deep/er", {"node", "server.js"}, true},
  };
  for (const auto& [folder, command, strip_prefix] : cases) {
    const auto program = answer(config, "/" + std::string(folder) + "/x");
    ASSERT_EQ(program.model, Model::app) << folder;
    EXPECT_EQ(program.app.root, folder_ / folder);
    EXPECT_EQ(program.app.command, command) << folder;
    EXPECT_EQ(program.app.strip_prefix, strip_prefix) << folder;
    EXPECT_EQ(program.app.min_instances, 0u);
    EXPECT_EQ(program.app.max_instances, 1u);
  }
  EXPECT_EQ(answer(config, "/node/server.js").app.kind, AppKind::node);
  const auto servlet = answer(config, "/exploded/");
  EXPECT_THAT(servlet.app.servlet, ElementsAre(folder_ / "exploded"));
  EXPECT_TRUE(servlet.app.strip_prefix);
  EXPECT_EQ(answer(config, "/index.html").name, "files");
  EXPECT_EQ(answer(config, "/deep-er/").name, "files");
  EXPECT_EQ(answer(config, "/new.php").name, "deny");
  EXPECT_EQ(answer(config, "/cgi-bin/x").name, "deny");
  EXPECT_EQ(found("npm/package.json").start, "a process that stays, from the first request on: npm start");
  EXPECT_EQ(found("npm/package.json").route, "/npm/*");
  EXPECT_EQ(found("npm/package.json").missing, "");
  EXPECT_EQ(found("exploded/WEB-INF").start,
            "a process that stays, from the first request on: a container for exploded");
}

TEST_F(FolderApplication, TheOneAtTheTopHasEverythingAndIsStartedAtOnce) {
  folder_.write("package.json", R"({"scripts":{"start":"node server.js"}})");
  folder_.write("server.js", "x");
  folder_.write("public/index.html", "x");
  folder_.write("legacy.php", "x");
  const auto config = read();
  for (const auto* path :
       {"/", "/server.js", "/public/index.html", "/x.php", "/cgi-bin/x", "/functions/x", "/x.cgi", "/x.war"})
    EXPECT_EQ(answer(config, path).name, "app") << path;
  const auto& app = config.programs.at(0).app;
  EXPECT_EQ(app.root, folder_.path());
  EXPECT_EQ(app.min_instances, 1u);
  EXPECT_FALSE(app.strip_prefix);
  EXPECT_EQ(found("package.json").start, "a process that stays: node server.js");
  EXPECT_EQ(found("package.json").route, "/*");
  folder_.write("cgi-bin/a", "#!/bin/sh\n", 0755);
  folder_.write("old.cgi", "#!/bin/sh\n", 0755);
  EXPECT_EQ(answer(read(), "/cgi-bin/a").model, Model::cgi);
  EXPECT_EQ(answer(read(), "/old.cgi").model, Model::cgi);
}

TEST_F(FolderApplication, WithoutAMountNothingIsToldOfOne) {
  folder_.write("wsgi.py", "");
  const auto app = read().programs.at(0).app;
  EXPECT_THAT(app.command, ElementsAre("gunicorn", "wsgi:application", "--bind", "unix:{socket}"));
}

TEST_F(FolderApplication, PythonComesFromItsEnvironment) {
  folder_.write("a/wsgi.py", "");
  folder_.write("a/venv/pyvenv.cfg", "");
  folder_.write("a/venv/bin/gunicorn", "#!/bin/sh\n", 0755);
  folder_.write("b/asgi.py", "");
  folder_.write("b/.venv/pyvenv.cfg", "");
  folder_.write("b/.venv/bin/pip", "#!/bin/sh\n", 0755);
  folder_.write("c/Procfile", "web: gunicorn x");
  folder_.write("c/venv/pyvenv.cfg", "");
  const auto config = read();
  EXPECT_EQ(answer(config, "/a/").app.command.at(0), folder_ / "a/venv/bin/gunicorn");
  EXPECT_EQ(answer(config, "/b/").name, "deny");
  EXPECT_THAT(found("b/asgi.py").missing, HasSubstr(folder_ / "b/.venv/bin/pip" + " install uvicorn"));
  EXPECT_THAT(answer(config, "/c/").env, ElementsAre(Pair("PATH", (folder_ / "c/venv/bin:") + tools_.path())));
  // One for all.
  folder_.write("d/wsgi.py", "");
  folder_.write("venv/pyvenv.cfg", "");
  folder_.write("venv/bin/gunicorn", "#!/bin/sh\n", 0755);
  const auto again = read();
  EXPECT_EQ(answer(again, "/d/").app.command.at(0), folder_ / "venv/bin/gunicorn");
  EXPECT_EQ(answer(again, "/venv/bin/gunicorn").name, "deny");
}

TEST_F(FolderApplication, TheServersOwnWorkersRunPythonAndPerl) {
  folder_.write("wsgi/wsgi.py", "app = 1\n");
  folder_.write("fast/main.py", "from fastapi import FastAPI\ndef create_app():\n  return FastAPI()\n");
  folder_.write("django/manage.py", "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')  # django\n");
  folder_.write("django/shop/wsgi.py", "application = get_wsgi_application()\n");
  folder_.write("django/venv/pyvenv.cfg", "home = /usr/bin\nversion = 3.11.2\n");
  folder_.write("psgi/app.psgi", "sub {}");
  folder_.write("newer/wsgi.py", "");
  folder_.write("newer/venv/pyvenv.cfg", "home = /usr/bin\nversion = 3.12.1\n");
  folder_.write("newer/venv/bin/gunicorn", "#!/bin/sh\n", 0755);
  path_.python = path_.perl = true;
  const auto text = read_folder(folder_.path(), {}, path_).toml;
  for (const auto* line : {"wsgi = \"wsgi:app\"", "asgi = \"main:create_app()\"", "wsgi = \"shop.wsgi:application\"",
                           "psgi = \"app.psgi\"", "command = [\"venv/bin/gunicorn\""})
    EXPECT_THAT(text, HasSubstr(line));
  EXPECT_THAT(text, HasSubstr("venv = \"" + (folder_ / "django/venv") + "\""));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("starman")));
  const auto found = read_folder(folder_.path(), {}, path_).found;
  EXPECT_TRUE(std::ranges::any_of(found, [](const auto& each) {
    return each.start == "a worker that stays, from the first request on: WSGI, shop.wsgi:application";
  }));
}

TEST_F(FolderApplication, ToolsOfTheUserAreFound) {
  folder_.write("a/server.js", "x");
  path_ = {.usual = "/nowhere", .also = "relative:" + tools_.path()};
  EXPECT_THAT(answer(read(), "/a/").env, ElementsAre(Pair("PATH", tools_.path() + ":/nowhere")));
}

TEST_F(FolderApplication, PackagesThatAreNotInstalledAreTold) {
  folder_.write("a/package.json", R"({"scripts":{"start":"node x.js"},"dependencies":{"express":"4"}})");
  folder_.write("a/x.js", "x");
  folder_.write("b/package.json", R"({"scripts":{"start":"node gone.js"}})");
  EXPECT_EQ(answer(read(), "/a/").model, Model::app);
  EXPECT_THAT(found("a/package.json").missing, HasSubstr("run npm install in " + (folder_ / "a")));
  EXPECT_EQ(answer(read(), "/b/").name, "deny");
  EXPECT_THAT(found("b/package.json").missing, HasSubstr("b/gone.js is not there"));
}

TEST_F(FolderApplication, WarFilesAnswerUnderTheirNames) {
  folder_.write("shop.war", "PK");
  folder_.write("apps/one.war", "PK");
  folder_.write("apps/ROOT.war", "PK");
  folder_.write("both.war", "PK");
  folder_.write("both/WEB-INF/web.xml", "x");
  const auto config = read();
  EXPECT_THAT(answer(config, "/shop/x").app.servlet, ElementsAre(folder_ / "shop.war"));
  EXPECT_THAT(answer(config, "/apps/one/x").app.servlet, ElementsAre(folder_ / "apps/one.war"));
  EXPECT_THAT(answer(config, "/apps/two/x").app.servlet, ElementsAre(folder_ / "apps/ROOT.war"));
  EXPECT_EQ(answer(config, "/shop.war").name, "deny");
  EXPECT_EQ(answer(config, "/x.html").name, "files");
  EXPECT_THAT(answer(config, "/both/x").app.servlet, ElementsAre(folder_ / "both"));
  EXPECT_THAT(found("both.war").missing, HasSubstr("comes first"));
  folder_.write("ROOT.war", "PK");
  EXPECT_THAT(answer(read(), "/x.html").app.servlet, ElementsAre(folder_ / "ROOT.war"));
  EXPECT_THAT(answer(read(), "/shop/x").app.servlet, ElementsAre(folder_ / "shop.war"));
}

TEST_F(FolderApplication, StrangeNamesHarmNothing) {
  folder_.write("my app/wsgi.py", "");
  folder_.write("~x/server.js", "");
  folder_.write("my-app/server.js", "");
  folder_.write("cgi-bin-2/server.js", "");
  folder_.write("\"]\n[x/server.js", "");
  folder_.write("\xff/server.js", "");
  folder_.write("braces/Procfile", "web: thing {prot}");
  folder_.write("bytes/Procfile", "web: thing \xff");
  folder_.write("nul/Procfile", std::string("web: a\0b", 8));
  const auto config = read();
  EXPECT_EQ(answer(config, "/my app/x").name, "my-app");
  EXPECT_TRUE(answer(config, "/my app/x").app.strip_prefix);
  EXPECT_EQ(answer(config, "/my-app/x").name, "my-app-2");
  EXPECT_EQ(answer(config, "/~x/x").app.root, folder_ / "~x");
  EXPECT_EQ(answer(config, "/cgi-bin-2/x").name, "app-cgi-bin-2");
  for (const auto* path : {"/braces/x", "/bytes/x", "/nul/x", "/\xff/server.js", "/\"]\n[x/server.js"})
    EXPECT_EQ(answer(config, path).model == Model::app ? "app" : answer(config, path).name, "deny") << path;
  EXPECT_THAT(found("braces/Procfile").missing, HasSubstr("a word in braces"));
}

TEST_F(FolderApplication, ManyAreNotAllTakenUp) {
  for (int i = 0; i < 60; ++i) folder_.write("a" + std::to_string(i) + "/server.js", "");
  const auto config = read();
  std::size_t started = 0;
  for (const auto& program : config.programs) started += program.model == Model::app;
  EXPECT_EQ(started, 50u);
  EXPECT_EQ(answer(config, "/a9/server.js").name, "deny");
  EXPECT_THAT(found("a9/server.js").missing, HasSubstr("more than 50 applications"));
}

TEST_F(FolderApplication, FilesForBrowsersAreNoApplications) {
  folder_.write("a/app.js", "import x from './x.js'; history.listen(x)");
  folder_.write("b/index.js", "fetch('http')");
  folder_.write("c/app.py", "print('x')");
  folder_.write("d/server", "just text", 0755);
  folder_.write("e/server", "#!/bin/sh\n", 0644);
  folder_.write("f/Procfile", "worker: x\n");
  folder_.write("g/manage.py", "print('x')");
  folder_.write("h/WEB-INF/x", "x");
  const auto config = read();
  for (const auto* path :
       {"/a/app.js", "/b/index.js", "/c/app.py", "/d/server", "/e/server", "/f/Procfile", "/g/manage.py"})
    EXPECT_EQ(answer(config, path).name, "files") << path;
}

}  // namespace
}  // namespace fivefold::config
