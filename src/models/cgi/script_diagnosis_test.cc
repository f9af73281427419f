#include "models/cgi/script_diagnosis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace fivefold::models::cgi {
namespace {

using testing::HasSubstr;

class Diagnosis : public testing::Test {
 protected:
  Diagnosis() {
    char name[] = "/tmp/diagnosis-test-XXXXXX";
    folder = ::mkdtemp(name);
    script = folder + "/x.cgi";
  }
  ~Diagnosis() override { std::filesystem::remove_all(folder); }
  std::string not_started(const std::string& text, std::string_view message) {
    std::ofstream(script, std::ios::trunc) << text;
    return likely_mend({.script = script, .message = message});
  }
  std::string ended(std::string_view output, int code = 1, std::string_view message = "ended without any output") {
    std::ofstream(script, std::ios::trunc) << "#!/bin/sh\n";
    return likely_mend({.script = script,
                        .message = message,
                        .output = output,
                        .exit = process::ExitStatus{.code = code},
                        .started = true});
  }
  std::string folder, script;
};

TEST_F(Diagnosis, WhyItDidNotStart) {
  EXPECT_THAT(not_started("#!/no/such/perl -w\n", "No such file or directory"), HasSubstr("/no/such/perl"));
  EXPECT_THAT(not_started("#!/bin/sh\r\necho\r\n", "No such file or directory"), HasSubstr("Windows line ends"));
  EXPECT_THAT(not_started("echo hello\n", "Exec format error"), HasSubstr("#!/bin/sh"));
  EXPECT_THAT(not_started("\x7f"
                          "ELF....",
                          "Exec format error"),
              HasSubstr("another kind of machine"));
  EXPECT_THAT(not_started("#!/bin/sh\n", "Permission denied"), HasSubstr("chmod"));
  std::filesystem::remove(script);
  EXPECT_THAT(likely_mend({.script = script, .message = "No such file or directory"}), HasSubstr("There is no file"));
}

TEST_F(Diagnosis, WhyItEnded) {
  EXPECT_THAT(ended("ModuleNotFoundError: No module named 'flask'"), HasSubstr("module flask"));
  EXPECT_THAT(ended("Can't locate JSON/XS.pm in @INC (you may ..."), HasSubstr("JSON/XS.pm"));
  EXPECT_THAT(ended("syntax error at x.cgi line 3, near \"}\""), HasSubstr("perl -c"));
  EXPECT_THAT(ended("  File \"x\"\nSyntaxError: invalid syntax"), HasSubstr("py_compile"));
  EXPECT_THAT(ended("x.cgi: 3: Syntax error: \"done\" unexpected"), HasSubstr("sh -n"));
  EXPECT_THAT(ended("x.cgi: 2: jq: not found", 127), HasSubstr("PATH"));
  EXPECT_THAT(ended("", 127), HasSubstr("PATH"));
  EXPECT_THAT(ended(""), HasSubstr("header fields first"));
  EXPECT_THAT(ended("", 1, "failed after its response head; it exited with status 1"),
              testing::Not(testing::IsEmpty()));
}

}  // namespace
}  // namespace fivefold::models::cgi
