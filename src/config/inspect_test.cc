#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/executable.h"
#include "config/load.h"
#include "config/temporary_folder.h"

namespace fivefold::config {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string told(const std::vector<Fault>& faults) {
  std::string text;
  for (const auto& fault : faults) text += to_string(fault) + "\n";
  return text;
}

class Inspect : public ::testing::Test {
 protected:
  std::string inspected(const std::string& text) {
    const auto loaded = parse(text, "f.toml", folder_.path());
    EXPECT_TRUE(loaded.config) << told(loaded.faults);
    return loaded.config ? told(inspect(*loaded.config)) : "";
  }
  std::string cgi(const std::string& lines) {
    return inspected("[[route]]\nrun = \"p\"\n[program.p]\nmodel = \"cgi\"\n" + lines + "\n");
  }

  TemporaryFolder folder_;
};

TEST_F(Inspect, NothingWhenEverythingIsThere) {
  folder_.write("www/index.html", "x");
  folder_.write("404.html", "x");
  folder_.write("cgi-bin/a.sh", "#!/bin/sh\n", 0755);
  folder_.write("cgi-bin/readme.txt", "data\n");
  EXPECT_EQ(inspected(R"([server]
listen = ["127.0.0.1:0", "unix:x.sock"]
access_log = "access.log"
log = "error.log"
program_logs = "."
control = "control.sock"
error_pages = { 404 = "404.html" }
[[route]]
path = "/cgi-bin/*"
run = "p"
[[route]]
files = "www"
[program.p]
model = "cgi"
root = "cgi-bin"
)"),
            "");
}

TEST_F(Inspect, AFaultyConfigurationIsLookedAtTooButNoLineTwice) {
  const auto loaded =
      parse("[server]\nlisen = 1\n[[route]]\nfiles = \"nowhere\"\n[[route]]\nfiles = 3\n", "f.toml", folder_.path());
  ASSERT_FALSE(loaded.config);
  const auto found = inspect(loaded);
  EXPECT_THAT(told(found), HasSubstr("f.toml:4:"));
  EXPECT_EQ(found.size(), 1u) << told(found);
}

TEST_F(Inspect, MissingFoldersAndFiles) {
  folder_.write("file", "x");
  EXPECT_THAT(inspected("[[route]]\nfiles = \"www\"\n"),
              AllOf(HasSubstr("f.toml:2:9: error: the folder of files"), HasSubstr("is not there; mkdir -p ")));
  EXPECT_THAT(inspected("[[route]]\nfiles = \"file\"\n"), HasSubstr("is not a folder"));
  EXPECT_THAT(inspected("[[route]]\nfiles = \".\"\n[server]\nerror_pages = { 404 = \"no.html\" }\n"),
              HasSubstr("f.toml:4:23: error: the page for 404"));
  EXPECT_THAT(cgi("root = \"no\""),
              AllOf(HasSubstr("f.toml:5:8: error: the root of program 'p'"), HasSubstr("is not there")));
  EXPECT_THAT(cgi("script = \"no.cgi\""), HasSubstr("f.toml:5:10: error: the script of program 'p'"));
  EXPECT_THAT(cgi("script = \"/bin/true\"\nworking_directory = \"no\""),
              HasSubstr("the working directory of program 'p'"));
  EXPECT_THAT(cgi("script = \"/bin/true\"\nxsendfile_root = \"no\""), HasSubstr("the xsendfile_root of program 'p'"));
}

TEST_F(Inspect, LogsThatCannotBeWritten) {
  const std::string route = "[[route]]\nfiles = \".\"\n[server]\n";
  EXPECT_THAT(
      inspected(route + "access_log = \"no/a.log\"\n"),
      AllOf(HasSubstr("f.toml:4:14: error: the folder "), HasSubstr("sudo mkdir -p "), HasSubstr(" && sudo chown ")));
  EXPECT_THAT(inspected(route + "log = \".\"\n"), HasSubstr("is a folder; name a file in it"));
  EXPECT_THAT(inspected(route + "program_logs = \"no\"\n"), HasSubstr("sudo mkdir -p "));
  EXPECT_THAT(inspected(route + "control = \"no/f.sock\"\n"), HasSubstr("warning: the folder "));
  EXPECT_THAT(inspected(route + "listen = \"unix:no/f.sock\"\n"), HasSubstr("f.toml:4:10: error: the folder "));
}

TEST_F(Inspect, ProgramsThatCannotBeExecuted) {
  folder_.write("plain.sh", "#!/bin/sh\n");
  folder_.write("gone.pl", "#!/opt/nowhere/perl -w\n", 0755);
  folder_.write("env.rb", "#!/usr/bin/env no-such-ruby\n", 0755);
  folder_.write("dos.sh", "#!/bin/sh\r\n", 0755);
  folder_.write("empty.sh", "#!\n", 0755);
  EXPECT_THAT(cgi("script = \"plain.sh\""), AllOf(HasSubstr("has no execute bit; chmod +x "), HasSubstr("warning")));
  EXPECT_THAT(cgi("script = \"gone.pl\""), HasSubstr("the interpreter /opt/nowhere/perl of "));
  EXPECT_THAT(cgi("script = \"env.rb\""), HasSubstr("install no-such-ruby"));
  EXPECT_THAT(cgi("script = \"dos.sh\""), AllOf(HasSubstr("carriage return"), HasSubstr("sed -i")));
  EXPECT_THAT(cgi("script = \"empty.sh\""), HasSubstr("names no interpreter"));
  EXPECT_THAT(cgi("script = \".\""), HasSubstr("is not a file that could be executed"));
  EXPECT_EQ(cgi("script = \"plain.sh\"\ninterpreter = \"/bin/sh\""), "");
  EXPECT_THAT(cgi("script = \"plain.sh\"\ninterpreter = \"no-such-program\""),
              HasSubstr("error: the interpreter no-such-program of program 'p'"));
}

TEST_F(Inspect, AFolderOfProgramsIsLookedThrough) {
  for (int i = 0; i < 8; ++i) folder_.write("bin/" + std::to_string(i) + ".sh", "#!/bin/sh\n");
  folder_.write("bin/data.txt", "nothing to run");
  folder_.write("bin/sub/other.cgi", "echo\n");
  const auto all = cgi("root = \"bin\"");
  EXPECT_THAT(all, HasSubstr("3 more programs in "));
  EXPECT_THAT(all, ::testing::Not(HasSubstr("data.txt")));
  EXPECT_THAT(cgi("root = \"bin\"\nextensions = \".cgi\""), HasSubstr("other.cgi has no execute bit"));
}

TEST_F(Inspect, AccountsAndPorts) {
  const std::string privileged = "[[route]]\nfiles = \".\"\n[server]\nlisten = \"127.0.0.1:1\"\n";
  const std::string account = "script = \"/bin/true\"\nuser = \"no-such-user\"";
  if (::geteuid() == 0) {
    EXPECT_EQ(inspected(privileged), "");
    EXPECT_THAT(cgi(account), HasSubstr("f.toml:6:8: error: there is no user no-such-user"));
    EXPECT_THAT(cgi("script = \"/bin/true\"\ngroup = \"no-such-group\""), HasSubstr("there is no group no-such-group"));
    EXPECT_EQ(cgi("script = \"/bin/true\"\nuser = \"nobody\""), "");
  } else {
    EXPECT_THAT(cgi(account), HasSubstr("only root can become another user"));
  }
}

TEST_F(Inspect, LoadReadsTheFileAndLooksAround) {
  folder_.write("www/index.html", "x");
  const auto good = folder_.write("good.toml", "[[route]]\nfiles = \"www\"\n");
  const auto loaded = load(good);
  ASSERT_TRUE(loaded.config) << told(loaded.faults);
  EXPECT_EQ(loaded.config->routes[0].files.root, folder_ / "www");
  const auto bad = folder_.write("bad.toml", "[[route]]\nfiles = \"no\"\n");
  EXPECT_FALSE(load(bad).config);
  EXPECT_THAT(told(load(bad).faults), HasSubstr("bad.toml:2:9: error: "));
  const auto gone = load(folder_ / "gone.toml");
  EXPECT_FALSE(gone.config);
  EXPECT_THAT(told(gone.faults),
              HasSubstr("gone.toml: error: the configuration cannot be read: No such file or directory"));
  EXPECT_THAT(told(load(folder_.path()).faults), HasSubstr("Is a directory"));
  EXPECT_THAT(told(load(folder_.write("large.toml", std::string(5 * 1024 * 1024, '\n'))).faults),
              HasSubstr("larger than 4 MB"));
}

TEST(Executable, IsKnownByItsFirstBytes) {
  TemporaryFolder folder;
  struct Case {
    const char *text, *kind, *interpreter;
  };
  const Case cases[] = {
      {"#!/usr/bin/perl -w\n", "Perl", "/usr/bin/perl"},
      {"#! /usr/bin/env python3\n", "Python", "python3"},
      {"#!/usr/bin/env -S LANG=C python3.11 -u\n", "Python", "python3.11"},
      {"#!/bin/bash", "shell", "/bin/bash"},
      {"#!/usr/bin/php-cgi8.2\n", "PHP", "/usr/bin/php-cgi8.2"},
      {"#!/usr/bin/awk -f\n", "awk", "/usr/bin/awk"},
      {"\x7f"
       "ELF\x02",
       "ELF", ""},
      {"hello", "", ""},
      {"", "", ""},
  };
  for (const auto& [text, kind, interpreter] : cases) {
    const auto executable = look_at(folder.write("file", text));
    EXPECT_EQ(kind_name(executable), kind) << text;
    EXPECT_EQ(executable.interpreter, interpreter) << text;
  }
  EXPECT_FALSE(look_at(folder / "none").regular);
  EXPECT_EQ(find_program("sh"), "/usr/bin/sh");
  EXPECT_EQ(find_program("no-such-program"), "");
  EXPECT_EQ(install_mend("/usr/bin/perl"), "apt install perl");
}

}  // namespace
}  // namespace fivefold::config
