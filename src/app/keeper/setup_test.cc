#include "app/keeper/setup.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "app/source.h"

namespace fivefold::app {
namespace {

TEST(NotApplied, NamesWhatNeedsMoreThanAReload) {
  config::Server before, after;
  EXPECT_TRUE(not_applied(before, after, true).empty());
  after.threads = 7;
  after.user = "somebody";
  after.control = "/run/other.sock";
  after.spawners = 3;
  after.access_log = "off";
  EXPECT_EQ(not_applied(before, after, true).size(), 5u);
  EXPECT_EQ(not_applied(before, after, false).size(), 2u);  // a restart applies the others
}

TEST(LoopCount, OnePerCoreUnlessConfigured) {
  EXPECT_EQ(loop_count(5), 5u);
  EXPECT_GE(loop_count(0), 1u);
}

class LogFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/fivefold-logs-XXXXXX";
    folder_ = ::mkdtemp(name);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string folder_;
};

TEST_F(LogFilesTest, AreOpenedWithTheirFolder) {
  config::Config config;
  config.server.access_log = folder_ + "/log/access.log";
  config.server.log = folder_ + "/log/server.log";
  config.server.program_logs = folder_ + "/log";
  config.programs.emplace_back().name = "scripts";
  const auto files = open_log_files(config);
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_TRUE(files->access);
  EXPECT_EQ(files->programs.count("scripts"), 1u);
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/log/scripts.log"));
}

TEST_F(LogFilesTest, OffIsNone) {
  config::Config config;
  config.server.access_log = "off";
  const auto files = open_log_files(config);
  ASSERT_TRUE(files);
  EXPECT_FALSE(files->access);
  EXPECT_TRUE(files->server);
}

TEST_F(LogFilesTest, AFailureSaysWhichFileAndWhatToDo) {
  config::Config config;
  config.server.access_log = folder_ + "/no/such/folder/access.log";
  const auto files = open_log_files(config);
  ASSERT_FALSE(files);
  EXPECT_NE(files.error().message.find(config.server.access_log), std::string::npos);
  EXPECT_NE(files.error().message.find("make its folder"), std::string::npos);
  config.server.access_log = folder_;
  EXPECT_FALSE(open_log_files(config));
}

}  // namespace
}  // namespace fivefold::app
