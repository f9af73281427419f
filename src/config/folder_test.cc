#include "config/folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/load.h"
#include "config/path_pattern.h"
#include "config/temporary_folder.h"

namespace fivefold::config {
namespace {

using ::testing::HasSubstr;

// What the folder becomes, checked as any configuration would be.
// No tools are found, whatever this machine has.
const ToolPath kNoTools{.usual = "/nowhere"};
Folder looked_at(const TemporaryFolder& folder) { return read_folder(folder.path(), {}, kNoTools); }

Config read(const TemporaryFolder& folder, const std::vector<std::string>& listen = {}) {
  const auto text = read_folder(folder.path(), listen, kNoTools).toml;
  auto loaded = parse(text, "serve", folder.path());
  for (const auto& fault : loaded.faults) ADD_FAILURE() << to_string(fault) << "\n" << text;
  if (!loaded.config) return {};
  for (const auto& fault : inspect(*loaded.config))
    if (fault.severity == Fault::Severity::error) ADD_FAILURE() << to_string(fault) << "\n" << text;
  return std::move(*loaded.config);
}

// What becomes of a request for `path`: "files", "deny", or the root of the program.
std::string answer(const Config& config, const std::string& path) {
  for (const auto& route : config.routes) {
    if (!covers_path(route.path, path)) continue;
    if (route.action == Action::files) return "files";
    if (route.action == Action::deny) return "deny";
    for (const auto& program : config.programs)
      if (program.name == route.run) return program.cgi.root;
  }
  return "nothing";
}

const Found* find(const std::vector<Found>& found, const std::string& what) {
  for (const auto& one : found)
    if (one.what.find(what) != std::string::npos) return &one;
  return nullptr;
}

TEST(Folder, AnEmptyOneIsServedAsFiles) {
  TemporaryFolder folder;
  const auto config = read(folder);
  ASSERT_EQ(config.server.listen.size(), 1u);
  EXPECT_EQ(config.server.listen[0].address, "127.0.0.1:8080");
  EXPECT_EQ(config.server.access_log, "-");
  EXPECT_EQ(config.server.error_detail, ErrorDetail::page);
  EXPECT_EQ(config.server.control, "");
  EXPECT_TRUE(config.routes.back().files.listing);
  EXPECT_EQ(config.routes.back().files.root, folder.path());
  EXPECT_EQ(answer(config, "/index.html"), "files");
  const auto found = looked_at(folder).found;
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].what, "0 files");
}

TEST(Folder, TakesTheListenAddresses) {
  TemporaryFolder folder;
  const auto config = read(folder, {"127.0.0.1:0", "unix:\"x\\y\".sock"});
  ASSERT_EQ(config.server.listen.size(), 2u);
  EXPECT_EQ(config.server.listen[1].unix_path, folder / "\"x\\y\".sock");
}

TEST(Folder, ProgramsRunAndTheirSourceIsNeverSent) {
  TemporaryFolder folder;
  folder.write("index.html", "x");
  folder.write("cgi-bin/hello.sh", "#!/bin/sh\n", 0755);
  folder.write("cgi-bin/forgotten.pl", "#!/usr/bin/perl\n", 0644);
  folder.write("cgi-bin/data.txt", "data");
  folder.write("deep/er/run.cgi", "#!/bin/sh\n", 0755);
  folder.write("OLD.CGI", "#!/opt/none/sh\n", 0755);
  folder.write("sub/cgi-bin/x",
               "\x7f"
               "ELF",
               0755);
  const auto config = read(folder);
  EXPECT_EQ(answer(config, "/index.html"), "files");
  EXPECT_EQ(answer(config, "/cgi-bin/hello.sh/info"), folder / "cgi-bin");
  EXPECT_EQ(answer(config, "/sub/cgi-bin/x"), folder / "sub/cgi-bin");
  EXPECT_EQ(answer(config, "/deep/er/run.cgi"), folder.path());
  EXPECT_EQ(answer(config, "/deep/er/run.cgi/info"), folder.path());
  EXPECT_EQ(answer(config, "/OLD.CGI"), folder.path());
  const auto found = looked_at(folder).found;
  const auto* hello = find(found, "cgi-bin/hello.sh (shell)");
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->route, "/cgi-bin/*");
  EXPECT_EQ(hello->model, "cgi");
  EXPECT_EQ(hello->start, "a process per request: /bin/sh hello.sh");
  EXPECT_EQ(hello->missing, "");
  ASSERT_TRUE(find(found, "forgotten.pl (Perl)"));
  EXPECT_THAT(find(found, "forgotten.pl (Perl)")->missing, HasSubstr("chmod +x "));
  ASSERT_TRUE(find(found, "OLD.CGI"));
  EXPECT_THAT(find(found, "OLD.CGI")->missing, HasSubstr("write #!/usr/bin/sh in its first line"));
  EXPECT_TRUE(find(found, "sub/cgi-bin/x (ELF)"));
  EXPECT_FALSE(find(found, "data.txt"));
  EXPECT_TRUE(find(found, "1 file"));
}

TEST(Folder, WhatIsMadeLaterIsGuardedAsWell) {
  TemporaryFolder folder;
  const auto config = read(folder);
  EXPECT_EQ(answer(config, "/cgi-bin/new.pl"), "deny");
  EXPECT_EQ(answer(config, "/functions/new/handler.js"), "deny");
  EXPECT_EQ(answer(config, "/new.php"), "deny");
  EXPECT_EQ(answer(config, "/shop.war"), "deny");
  EXPECT_EQ(answer(config, "/new.cgi"), folder.path());
}

TEST(Folder, PhpRunsWhereItsWorkerIsInstalled) {
  TemporaryFolder folder;
  folder.write("index.php", "<?php");
  folder.write("blog/OLD.Php", "<?php");
  folder.write("old.phtml", "<?php");
  folder.write("style.css", "x");
  const auto made = read_folder(folder.path(), {}, ToolPath{.usual = "/nowhere", .php = true});
  const auto loaded = parse(made.toml, "serve", folder.path());
  ASSERT_TRUE(loaded.config) << made.toml;
  for (const auto* path : {"/", "/index.php", "/blog/OLD.Php", "/style.css", "/a/pretty/path"}) {
    const auto& routes = loaded.config->routes;
    const auto found = std::ranges::find_if(routes, [&](const auto& one) { return covers_path(one.path, path); });
    ASSERT_NE(found, routes.end());
    EXPECT_EQ(found->run, "php") << path;
  }
  EXPECT_EQ(answer(*loaded.config, "/old.phtml"), "deny");
  const auto& program = loaded.config->programs.back();
  EXPECT_EQ(program.model, Model::module);
  EXPECT_EQ(program.module.root, folder.path());
  EXPECT_TRUE(program.module.listing);
  const auto* php = find(made.found, "2 PHP files");
  ASSERT_TRUE(php);
  EXPECT_EQ(php->missing, "");
  EXPECT_THAT(php->start, HasSubstr("workers"));
}

TEST(Folder, WhatCannotRunIsToldAndNeverSent) {
  TemporaryFolder folder;
  folder.write("index.html", "x");
  folder.write("blog/index.php", "<?php");
  folder.write("blog/OLD.Php", "<?php");
  folder.write("books.war", "PK");
  folder.write("functions/thumb/app.py", "secret");
  folder.write("shop/wsgi.py", "secret");
  folder.write("a/b/asgi.py", "secret");
  folder.write("psgi/app.psgi", "secret");
  folder.write("rack/config.ru", "secret");
  folder.write("node/server.js", "secret");
  folder.write("started/package.json", R"({"scripts":{"start":"node ."}})");
  folder.write("library/package.json", R"({"scripts":{"test":"node ."}})");
  folder.write("broken/package.json", R"({"scripts":{"start")");
  folder.write("site/app.js", "button.addEventListener('click', listen)");
  folder.write("node_modules/x/server.js", "x");
  folder.write("python/pyvenv.cfg", "x");
  folder.write("python/lib/wsgi.py", "x");
  const auto config = read(folder);
  for (const auto* path : {"/blog/index.php", "/blog/index.php/x", "/blog/OLD.Php", "/books.war",
                           "/functions/thumb/app.py", "/shop/settings.py", "/a/b/asgi.py", "/psgi/lib/x.pm", "/rack/x",
                           "/node/server.js", "/started/lib.js", "/python/lib/wsgi.py"})
    EXPECT_EQ(answer(config, path), "deny") << path;
  for (const auto* path : {"/index.html", "/a/x.html", "/library/x.js", "/broken/x.js", "/site/app.js"})
    EXPECT_EQ(answer(config, path), "files") << path;
  EXPECT_EQ(config.programs.size(), 1u);
  const auto found = looked_at(folder).found;
  struct Case {
    const char *what, *model, *route, *missing;
  };
  const Case cases[] = {
      {"2 PHP files", "module", "*.php", "install the package fivefold-php"},
      {"books.war", "app", "/books/*", "there is no java on its PATH; apt install default-jre-headless"},
      {"functions/thumb", "function", "/functions/thumb", "functions run on demand"},
      {"shop/wsgi.py (a Python (WSGI)", "app", "/shop/*", "there is no gunicorn on its PATH; apt install gunicorn"},
      {"a/b/asgi.py", "app", "/a/b/*", "apt install uvicorn"},
      {"psgi/app.psgi", "app", "/psgi/*", "apt install starman"},
      {"rack/config.ru", "app", "/rack/*", "apt install puma"},
      {"node/server.js", "app", "/node/*", "apt install nodejs"},
      {"started/package.json", "app", "/started/*", "apt install nodejs"}};
  for (const auto& [what, model, route, missing] : cases) {
    const auto* one = find(found, what);
    ASSERT_TRUE(one) << what;
    EXPECT_EQ(one->model, model) << what;
    EXPECT_EQ(one->route, route) << what;
    EXPECT_THAT(one->missing, HasSubstr(missing)) << what;
    EXPECT_THAT(one->missing, HasSubstr("404")) << what;
  }
}

TEST(Folder, AnApplicationAtTheTopHasEverything) {
  TemporaryFolder folder;
  folder.write("server.js", "secret");
  folder.write("public/index.html", "x");
  folder.write("cgi-bin/a", "#!/bin/sh\n", 0755);
  const auto config = read(folder);
  EXPECT_EQ(answer(config, "/server.js"), "deny");
  EXPECT_EQ(answer(config, "/"), "deny");
  EXPECT_EQ(answer(config, "/cgi-bin/a"), folder / "cgi-bin");
}

TEST(Folder, NamesThatNoRouteCanHaveAreGuardedFromAbove) {
  TemporaryFolder folder;
  folder.write("a/what?/wsgi.py", "secret");
  folder.write("a/x.html", "x");
  folder.write("b.html", "x");
  folder.write("c/\"quoted\\/server.js", "secret");
  const auto config = read(folder);
  EXPECT_EQ(answer(config, "/a/what?/settings.py"), "deny");
  EXPECT_EQ(answer(config, "/c/\"quoted\\/server.js"), "deny");
  EXPECT_EQ(answer(config, "/b.html"), "files");
  folder.write("\xff/wsgi.py", "secret");
  const auto guarded = read(folder);
  EXPECT_EQ(answer(guarded, "/\xff/wsgi.py"), "deny");
  EXPECT_EQ(answer(guarded, "/b.html"), "deny");
}

TEST(Folder, AFolderOfProgramsMayBeginWithATilde) {
  TemporaryFolder folder;
  folder.write("~alice/cgi-bin/a", "#!/bin/sh\n", 0755);
  EXPECT_EQ(answer(read(folder), "/~alice/cgi-bin/a"), folder / "~alice/cgi-bin");
}

TEST(Folder, ManyProgramsAreCounted) {
  TemporaryFolder folder;
  for (int i = 0; i < 33; ++i) folder.write("cgi-bin/" + std::to_string(i), "#!/bin/sh\n", 0755);
  const auto found = looked_at(folder).found;
  EXPECT_EQ(found.size(), 20u + 1u + 1u);
  EXPECT_TRUE(find(found, "and 13 more"));
}

TEST(Folder, LinksToFoldersAreNotFollowed) {
  TemporaryFolder folder;
  folder.write("a/x.html", "x");
  std::filesystem::create_directory_symlink(folder.path(), folder / "a/loop");
  EXPECT_TRUE(find(looked_at(folder).found, "1 file"));
}

}  // namespace
}  // namespace fivefold::config
