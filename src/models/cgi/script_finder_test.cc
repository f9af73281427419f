#include "models/cgi/script_finder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace fivefold::models::cgi {
namespace {

namespace fs = std::filesystem;

class Finder : public testing::Test {
 protected:
  Finder() {
    char name[] = "/tmp/finder-test-XXXXXX";
    folder = ::mkdtemp(name);
    root = folder + "/root";
    fs::create_directories(root + "/sub/deep");
    fs::create_directories(root + "/.git/hooks");
    file("root/a.cgi");
    file("root/sub/b.cgi");
    file("root/sub/deep/index.cgi");
    file("root/plain.txt", 0644);
    file("root/.git/hooks/update");
    file("outside.cgi");
    fs::create_symlink("../outside.cgi", root + "/leads-out.cgi");
    fs::create_symlink("/bin/sh", root + "/absolute.cgi");
    fs::create_symlink("sub/b.cgi", root + "/inside.cgi");
    fs::create_symlink("loop", root + "/loop");
    ::mkfifo((root + "/fifo").c_str(), 0755);
    settings.root = root;
  }
  ~Finder() override { fs::remove_all(folder); }
  void file(const std::string& path, unsigned mode = 0755) {
    std::ofstream(folder + "/" + path) << "x";
    ::chmod((folder + "/" + path).c_str(), mode);
  }
  Result<Script> find(std::string_view prefix, std::string_view rest) {
    return ScriptFinder(settings).find(prefix, rest, net::Clock::now());
  }

  std::string folder, root;
  config::Cgi settings;
};

TEST_F(Finder, SplitsThePathWhereTheFileIs) {
  struct Row {
    const char *prefix, *rest, *file, *name, *info;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"/cgi-bin/", "a.cgi", "/a.cgi", "/cgi-bin/a.cgi", ""},
           {"/cgi-bin/", "a.cgi/", "/a.cgi", "/cgi-bin/a.cgi", "/"},
           {"/cgi-bin/", "a.cgi/x/y.cgi", "/a.cgi", "/cgi-bin/a.cgi", "/x/y.cgi"},
           {"/cgi-bin/", "sub/b.cgi/x", "/sub/b.cgi", "/cgi-bin/sub/b.cgi", "/x"},
           {"/", "inside.cgi", "/inside.cgi", "/inside.cgi", ""},
           {"/cgi-bin/a.cgi", "", "/a.cgi", "/cgi-bin/a.cgi", ""},
       }) {
    const auto found = find(row.prefix, row.rest);
    ASSERT_TRUE(found) << row.rest << ": " << found.error().message;
    EXPECT_EQ(found->file, root + row.file);
    EXPECT_EQ(found->name, row.name);
    EXPECT_EQ(found->path_info, row.info);
    EXPECT_EQ(found->directory, fs::path(found->file).parent_path());
  }
}

TEST_F(Finder, Refusals) {
  struct Row {
    const char* rest;
    Code code;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"none.cgi", Code::not_found},
           {"A.CGI", Code::not_found},
           {"sub/none", Code::not_found},
           {"plain.txt", Code::forbidden},
           {"plain.txt/x", Code::forbidden},
           {"sub", Code::forbidden},
           {"sub/", Code::forbidden},
           {"", Code::forbidden},
           {"leads-out.cgi", Code::forbidden},
           {"absolute.cgi", Code::forbidden},
           {"loop", Code::forbidden},
           {"fifo", Code::forbidden},
           {".git/hooks/update", Code::not_found},
           {"../outside.cgi", Code::not_found},
       }) {
    const auto found = find("/cgi-bin/", row.rest);
    ASSERT_FALSE(found) << row.rest;
    EXPECT_EQ(found.error().code, row.code) << row.rest << ": " << found.error().message;
  }
  EXPECT_EQ(find("/cgi-bin/", std::string(5000, 'x')).error().code, Code::not_found);
}

TEST_F(Finder, ExtensionsIndexAndInterpreter) {
  settings.extensions = {".cgi"};
  file("root/other.pl");
  EXPECT_TRUE(find("/", "a.cgi"));
  EXPECT_EQ(find("/", "other.pl").error().code, Code::not_found);
  settings.index = {"none.cgi", "index.cgi"};
  const auto index = find("/c/", "sub/deep/");
  ASSERT_TRUE(index);
  EXPECT_EQ(index->name, "/c/sub/deep/index.cgi");
  EXPECT_EQ(index->path_info, "");
  settings.extensions.clear();
  settings.interpreter = {"php-cgi"};
  EXPECT_TRUE(find("/", "plain.txt"));
}

TEST_F(Finder, MissingRootIsTheServersFault) {
  settings.root = folder + "/nowhere";
  EXPECT_EQ(find("/", "a.cgi").error().code, Code::internal);
}

TEST_F(Finder, FixedScript) {
  settings.script = "/usr/lib/x.cgi";
  EXPECT_EQ(find("/x/", "a")->name, "/x");
  EXPECT_EQ(find("/x/", "a")->path_info, "/a");
  EXPECT_EQ(find("/x", "")->path_info, "");
  EXPECT_EQ(find("/", "")->name, "");
  EXPECT_EQ(find("/", "")->directory, "/usr/lib");
}

}  // namespace
}  // namespace fivefold::models::cgi
