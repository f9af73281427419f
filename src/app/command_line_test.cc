#include "app/command_line.h"

#include <gtest/gtest.h>

#include "app/commands.h"

namespace fivefold::app {
namespace {

TEST(NearestCommand, GuessesAtMisspeltOnes) {
  EXPECT_EQ(nearest_command("statsu"), "status");
  EXPECT_EQ(nearest_command("sever"), "serve");
  EXPECT_EQ(nearest_command("relaod"), "reload");
  EXPECT_EQ(nearest_command("quux"), "");
}

int run(std::vector<std::string> words) {
  words.insert(words.begin(), "fivefold");
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  return run_command_line(static_cast<int>(words.size()), arguments.data());
}

TEST(CommandLine, AnUnknownCommandIsAnswered) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(run({"chekc"}), 2);
  const auto said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("did you mean \"check\"?"), std::string::npos) << said;
}

TEST(CommandLine, AnUnknownOptionPointsToHelp) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(run({"status", "--jsno"}), 2);
  const auto said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("--jsno"), std::string::npos) << said;
  EXPECT_NE(said.find("fivefold status --help"), std::string::npos) << said;
}

TEST(CommandLine, VersionAndHelp) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(run({"--version"}), 0);
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "fivefold " FIVEFOLD_VERSION "\n");
  testing::internal::CaptureStdout();
  EXPECT_EQ(run({"--help"}), 0);
  EXPECT_NE(testing::internal::GetCapturedStdout().find("Examples:"), std::string::npos);
}

TEST(ControlInText, FindsTheSocketInAFaultyConfiguration) {
  EXPECT_EQ(control_in_text("[server]\nlisten = [\ncontrol = \"run/x.sock\"  # here\n"), "run/x.sock");
  EXPECT_EQ(control_in_text("[server]\n  control='/run/y.sock'\n"), "/run/y.sock");
  EXPECT_EQ(control_in_text("[program.x]\ncontrol = \"no\"\n"), "");
  EXPECT_EQ(control_in_text("[server]\ncontrols = \"no\"\ncontrol = 5\n"), "");
  EXPECT_EQ(control_in_text(""), "");
}

}  // namespace
}  // namespace fivefold::app
