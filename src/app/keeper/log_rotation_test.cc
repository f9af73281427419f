#include "app/keeper/log_rotation.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace fivefold::app {
namespace {

using namespace std::chrono_literals;

class Rotation : public ::testing::Test {
 protected:
  Rotation() {
    char name[] = "/tmp/fivefold-rotation-XXXXXX";
    folder_ = ::mkdtemp(name);
    config_.server.log = "-";
    config_.server.access_log = folder_ + "/access.log";
    config_.server.log_max_size = 100;
    config_.server.log_keep = 3;
    open();
  }
  ~Rotation() override {
    ::chmod(folder_.c_str(), 0700);
    std::filesystem::remove_all(folder_);
  }

  void open() {
    auto files = open_log_files(config_);
    ASSERT_TRUE(files) << files.error().message;
    files_ = std::move(*files);
  }
  // `text` and what makes it long enough.
  void write(const std::string& text, int fd = -1) {
    const std::string line = text + std::string(100, '.');
    ASSERT_EQ(::write(fd < 0 ? files_.access.get() : fd, line.data(), line.size()), static_cast<ssize_t>(line.size()));
  }
  bool look() {
    const bool any =
        rotation_.look(config_, files_, now_, [this](const std::string& text) { warnings_.push_back(text); });
    if (any) open();
    now_ += 100s;
    return any;
  }
  // The first word of the log with that ending; "-" when there is none.
  std::string begins(const std::string& ending, const std::string& name = "access.log") const {
    std::ifstream file(folder_ + "/" + name + ending);
    std::string word;
    std::getline(file, word, '.');
    return file.is_open() ? word : "-";
  }
  std::size_t count() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder_), {}));
  }

  std::string folder_;
  config::Config config_;
  LogFiles files_;
  LogRotation rotation_;
  LogRotation::Clock::time_point now_{};
  std::vector<std::string> warnings_;
};

TEST_F(Rotation, TheOldestGoesAndTheNewestIsEmpty) {
  EXPECT_FALSE(look());
  for (const auto* text : {"a", "b", "c", "d", "e"}) {
    write(text);
    EXPECT_TRUE(look());
    EXPECT_FALSE(look());
  }
  EXPECT_EQ(begins("") + begins(".1") + begins(".2") + begins(".3"), "edc");
  EXPECT_EQ(begins(".4"), "-");
  config_.server.log_keep = 1;
  write("f");
  EXPECT_TRUE(look());
  EXPECT_EQ(begins("") + begins(".1"), "f");
  EXPECT_EQ(count(), 2u);
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(Rotation, TheNewFileHasTheModeOfTheOld) {
  ASSERT_EQ(::chmod((folder_ + "/access.log").c_str(), 0604), 0);
  write("a");
  EXPECT_TRUE(look());
  struct stat status{};
  ASSERT_EQ(::stat((folder_ + "/access.log").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0604u);
}

TEST_F(Rotation, LimitsAreThoseOfTheConfiguration) {
  config_.server.log_max_size.reset();
  EXPECT_EQ(rotation_.due(config_), LogRotation::Clock::time_point::max())
      << "only program_logs have a limit of their own";
  config_.server.program_logs = folder_;
  config_.programs.push_back({.name = "api"});
  open();
  EXPECT_LT(rotation_.due(config_), LogRotation::Clock::time_point::max());
  write("a");
  write("a", files_.programs.at("api").get());
  EXPECT_FALSE(look());
  ASSERT_EQ(::ftruncate(files_.programs.at("api").get(), LogRotation::kProgramLogSize), 0);
  EXPECT_TRUE(look());
  EXPECT_EQ(begins(".1", "api.log"), "a");
  EXPECT_EQ(begins(".1"), "-");
  config_.server.log_max_size = 0;
  ASSERT_EQ(::ftruncate(files_.programs.at("api").get(), LogRotation::kProgramLogSize), 0);
  EXPECT_FALSE(look());
}

TEST_F(Rotation, ALinkStaysALink) {
  const auto target = folder_ + "/real.log";
  std::filesystem::rename(folder_ + "/access.log", target);
  std::filesystem::create_symlink("real.log", folder_ + "/access.log");
  open();
  write("a");
  EXPECT_TRUE(look());
  EXPECT_TRUE(std::filesystem::is_symlink(folder_ + "/access.log"));
  EXPECT_EQ(begins("", "real.log") + begins(".1", "real.log"), "a");
}

TEST_F(Rotation, WhatSomebodyElseHasMovedIsLeftAlone) {
  write("a");
  std::filesystem::rename(folder_ + "/access.log", folder_ + "/access.log.gone");
  EXPECT_FALSE(look());
  std::ofstream(folder_ + "/access.log") << std::string(200, 'x');
  EXPECT_FALSE(look());
  EXPECT_EQ(count(), 2u);
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(Rotation, AFolderThatCannotBeWrittenIsToldOnceAndTriedAgain) {
  // Whoever runs the tests, root too, cannot make a file in the place of a folder.
  std::filesystem::create_directories(folder_ + "/access.log.new/x");
  write("a");
  const auto began = now_;
  EXPECT_FALSE(look());
  EXPECT_EQ(rotation_.due(config_), began + LogRotation::kAfterFailure);
  EXPECT_FALSE(look());
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find("access.log has reached its log_max_size, but no new one can be begun beside it: "),
            std::string::npos);
  EXPECT_EQ(begins(""), "a");
  std::filesystem::remove_all(folder_ + "/access.log.new");
  EXPECT_TRUE(look());
  EXPECT_EQ(begins(".1"), "a");
}

TEST_F(Rotation, ANameThatIsTakenLosesNothing) {
  std::filesystem::create_directories(folder_ + "/access.log.1/x");
  write("a");
  EXPECT_TRUE(look()) << "a folder of that name moves on like a file";
  EXPECT_EQ(begins(".1"), "a");
  EXPECT_TRUE(std::filesystem::is_directory(folder_ + "/access.log.2"));
}

}  // namespace
}  // namespace fivefold::app
