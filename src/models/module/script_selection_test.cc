#include "models/module/script_selection.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace fivefold::models::module {
namespace {

namespace fs = std::filesystem;

// A site on the disk, and what its paths come to: "script NAME|INFO", "file", "slash", or the error's code.
class Site {
 public:
  Site() {
    char name[] = "/tmp/fivefold_selection_XXXXXX";
    folder_ = ::mkdtemp(name);
    settings.root = folder_ + "/www";
    for (const auto* file : {"index.php", "view.php", "blog/index.php", "style.css", "docs/index.html", "empty/x.txt",
                             "uploads/evil.php", "uploads/cat.jpg", "UPPER.PHP", "notes.php.bak", "lib.inc", "old.php5",
                             ".env", ".git/config", ".well-known/acme", "dir.php/inner.php", "dir.php/data.txt"})
      write(file);
    fs::create_directories(folder_ + "/outside");
    std::ofstream(folder_ + "/outside/secret.php") << "x";
    fs::create_symlink(folder_ + "/outside/secret.php", folder_ + "/www/link.php");
    fs::create_symlink("view.php", folder_ + "/www/alias.php");
    fs::create_symlink(settings.root + "/view.php", folder_ + "/www/absolute.php");
    fs::create_directory_symlink("../outside", folder_ + "/www/shared");
    fs::create_symlink("circle.php", folder_ + "/www/circle.php");
  }
  ~Site() { fs::remove_all(folder_); }
  void write(const std::string& file) {
    fs::create_directories(fs::path(folder_ + "/www/" + file).parent_path());
    std::ofstream(folder_ + "/www/" + file) << "x";
  }
  std::string of(std::string_view rest, std::string_view prefix = "/") const {
    const ScriptSelection selection(settings);
    const auto found = selection.find(prefix, rest, net::Clock::now());
    if (!found)
      return found.error().code == Code::not_found ? "404" : found.error().code == Code::forbidden ? "403" : "500";
    if (found->kind == Selection::Kind::file) return "file";
    if (found->kind == Selection::Kind::with_slash) return "slash";
    if (!found->script_filename.empty()) {
      EXPECT_TRUE(found->script_filename.starts_with(settings.root + "/")) << found->script_filename;
      EXPECT_TRUE(fs::is_regular_file(found->script_filename)) << found->script_filename;
    }
    return found->script_name + "|" + found->path_info;
  }
  config::Module settings;

 private:
  std::string folder_;
};

TEST(ScriptSelection, TheFirstPartThatIsAScriptRuns) {
  const Site site;
  EXPECT_EQ(site.of("view.php"), "/view.php|");
  EXPECT_EQ(site.of("view.php/42/x.php"), "/view.php|/42/x.php");
  EXPECT_EQ(site.of("view.php/"), "/view.php|/");
  EXPECT_EQ(site.of("dir.php/inner.php/a"), "/dir.php/inner.php|/a") << "a folder is no script";
  EXPECT_EQ(site.of("dir.php/data.txt"), "file");
  EXPECT_EQ(site.of("UPPER.PHP/x"), "/UPPER.PHP|/x");
  EXPECT_EQ(site.of("view.PHP"), "404") << "the name itself is compared byte by byte";
  EXPECT_EQ(site.of("alias.php"), "/alias.php|");
  EXPECT_EQ(site.of("view.php/42", "/forum/"), "/forum/view.php|/42") << "SCRIPT_NAME begins with the route's prefix";
  EXPECT_EQ(site.of("", "/view.php"), "/view.php|") << "a route for one path";
}

TEST(ScriptSelection, AScriptThatWasFoundIsKnownForAWhile) {
  Site site;
  const ScriptSelection selection(site.settings);
  const auto now = net::Clock::now();
  const auto finds = [&](net::TimePoint when) {
    const auto found = selection.find("/", "late.php/x", when);
    return found && found->script_name == "/late.php" && found->path_info == "/x";
  };
  EXPECT_FALSE(finds(now));
  site.write("late.php");
  EXPECT_TRUE(finds(now)) << "a new one is found at once";
  fs::remove(site.settings.root + "/late.php");
  EXPECT_TRUE(finds(now));
  EXPECT_FALSE(finds(now + ScriptSelection::kScriptValid));
}

TEST(ScriptSelection, WhatIsTriedElse) {
  Site site;
  EXPECT_EQ(site.of("style.css"), "file");
  EXPECT_EQ(site.of(""), "/index.php|");
  EXPECT_EQ(site.of("blog"), "slash");
  EXPECT_EQ(site.of("blog/"), "/blog/index.php|");
  EXPECT_EQ(site.of("docs/"), "file");
  EXPECT_EQ(site.of("docs"), "slash");
  EXPECT_EQ(site.of("a/pretty/path"), "/index.php|") << "the front controller";
  EXPECT_EQ(site.of("empty/"), "/index.php|");
  EXPECT_EQ(site.of("missing.php"), "404") << "a script that is not there is not somebody else's";
  site.settings.listing = true;
  EXPECT_EQ(site.of("empty/"), "file");
  site.settings.files = false;
  EXPECT_EQ(site.of("style.css"), "/index.php|");
}

TEST(ScriptSelection, AsTheOperatorHasWrittenIt) {
  Site site;
  site.settings.try_given = true;
  EXPECT_EQ(site.of("missing.php"), "/index.php|") << "where it was asked for";
  site.settings.try_files = {"{path}", "=404", "/index.php"};
  EXPECT_EQ(site.of("a/pretty/path"), "404");
  EXPECT_EQ(site.of("blog/"), "404");
  site.settings.try_files = {"/gone.php", "/view.php"};
  EXPECT_EQ(site.of("style.css"), "/view.php|");
  site.settings.try_files = {"/view.php{path}"};
  EXPECT_EQ(site.of("a/b", "/forum/"), "/forum/view.php|/a/b");
  EXPECT_EQ(site.of(""), "/view.php|/");
  site.settings.try_files = {"/style.css"};
  EXPECT_EQ(site.of("x"), "404") << "a front controller is a script";
}

TEST(ScriptSelection, WhatIsNeverSentOrRun) {
  Site site;
  site.settings.try_files = {"{path}", "{path}/"};
  for (const auto* path : {".env", ".git/config", "a/.hidden/b", "lib.inc", "old.php5"})
    EXPECT_EQ(site.of(path), "404") << path;
  EXPECT_EQ(site.of(".well-known/acme"), "file");
  EXPECT_EQ(site.of("link.php"), "403") << "it leads out of the root";
  EXPECT_EQ(site.of("notes.php.bak"), "file") << "no source by its last extension";
  EXPECT_EQ(site.of(std::string_view("style.css\0.php", 14)), "404");
  site.settings.no_scripts = {"uploads"};
  EXPECT_EQ(site.of("uploads/evil.php"), "403");
  EXPECT_EQ(site.of("uploads/evil.php/cat.jpg"), "403");
  EXPECT_EQ(site.of("uploads/cat.jpg"), "file");
  EXPECT_EQ(site.of("view.php"), "/view.php|");
}

TEST(ScriptSelection, LinksAreFollowedAsSymlinksSays) {
  Site site;
  const auto are = [&](Symlinks symlinks) {
    site.settings.symlinks = symlinks;
    std::string found;
    for (const auto* path : {"alias.php", "absolute.php", "link.php", "shared/secret.php/x", "shared/none.php"})
      found += site.of(path) + " ";
    return found;
  };
  EXPECT_EQ(are(Symlinks::within), "/alias.php| /absolute.php| 403 403 404 ");
  EXPECT_EQ(are(Symlinks::owner), "/alias.php| /absolute.php| /link.php| /shared/secret.php|/x 404 ");
  EXPECT_EQ(are(Symlinks::follow), "/alias.php| /absolute.php| /link.php| /shared/secret.php|/x 404 ");
  EXPECT_EQ(are(Symlinks::deny), "403 403 403 403 403 ");
  EXPECT_EQ(site.of("view.php"), "/view.php|");
  site.settings.symlinks = Symlinks::follow;
  EXPECT_EQ(site.of("circle.php"), "404");
  if (::geteuid() != 0) return;
  ASSERT_EQ(::lchown((site.settings.root + "/link.php").c_str(), 12345, 12345), 0);
  EXPECT_EQ(are(Symlinks::owner), "/alias.php| /absolute.php| 403 /shared/secret.php|/x 404 ");
}

TEST(ScriptSelection, SourcesByTheirNames) {
  for (const auto* name : {"a.php", "a.PHP", "a.php7", "a.pht", "a.phtml", "a.phar", "a.phps", "a.inc", ".php"})
    EXPECT_TRUE(is_source(name)) << name;
  for (const auto* name : {"a.txt", "php", "a.phpx", "a.photo", "a.php.txt", "a.ph"})
    EXPECT_FALSE(is_source(name)) << name;
}

TEST(ScriptSelection, AWorkerScriptHasWhatNoFileAnswers) {
  Site site;
  site.settings.worker = site.settings.root + "/view.php";
  EXPECT_EQ(site.of("style.css"), "file");
  EXPECT_EQ(site.of("anything/else"), "/view.php|");
  EXPECT_EQ(site.of("index.php"), "/view.php|") << "no other script runs";
  EXPECT_EQ(site.of("lib.inc"), "/view.php|");
  EXPECT_EQ(site.of(""), "/view.php|");
}

TEST(ScriptSelection, PerlScriptsAreFoundAsCgiScriptsAre) {
  Site site;
  site.settings.language = config::Language::perl;
  site.write("report.pl");
  EXPECT_EQ(site.of("report.pl/2026/may", "/cgi-bin/"), "/cgi-bin/report.pl|/2026/may");
  EXPECT_EQ(site.of("style.css"), "/style.css|") << "every file is a script";
  site.settings.extensions = {".pl"};
  EXPECT_EQ(site.of("style.css"), "404");
  EXPECT_EQ(site.of("blog"), "403");
  EXPECT_EQ(site.of("gone.pl"), "404");
}

TEST(ScriptSelection, ApplicationsGetTheRoutesPrefixAndTheRest) {
  Site site;
  site.settings.wsgi = "shop:application";
  EXPECT_EQ(site.of("a/b", "/shop/"), "/shop|/a/b");
  EXPECT_EQ(site.of("", "/"), "|/");
  EXPECT_EQ(site.of("", "/exact"), "/exact|");
}

}  // namespace
}  // namespace fivefold::models::module
