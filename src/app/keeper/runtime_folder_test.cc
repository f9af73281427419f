#include "app/keeper/runtime_folder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "app/keeper/remove_tree.h"

namespace fivefold::app {
namespace {

namespace fs = std::filesystem;

class RuntimeFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/fivefold-runtime-XXXXXX";
    parent_ = ::mkdtemp(name);
    ::chmod(parent_.c_str(), 0755);
  }
  void TearDown() override { fs::remove_all(parent_); }

  std::vector<RuntimePlace> places(const std::string& name = {}) const { return {{parent_, "ff-", name}}; }
  // What is in the parent.
  std::size_t count() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(parent_), fs::directory_iterator()));
  }
  static config::Config programs(std::vector<std::pair<std::string, config::Model>> wanted) {
    config::Config config;
    for (auto& [name, model] : wanted) {
      auto& program = config.programs.emplace_back();
      program.name = name;
      program.model = model;
    }
    return config;
  }
  Result<std::map<std::string, std::string>> prepare(RuntimeFolder& folder, const config::Config& config,
                                                     uid_t user = ::geteuid(), gid_t group = ::getegid()) {
    const Account server{.switch_user = ::geteuid() == 0, .uid = ::geteuid(), .gid = group};
    std::map<std::string, std::uint32_t> indices;
    std::vector<process::Identity> identities;
    for (const auto& program : config.programs) {
      indices[program.name] = static_cast<std::uint32_t>(identities.size());
      identities.push_back({.program = program.name, .uid = user});
    }
    return folder.prepare(config, identities, indices, server);
  }

  std::string parent_;
};

TEST_F(RuntimeFolderTest, IsMadeWhenAProgramNeedsItAndIsRemovedWhole) {
  {
    RuntimeFolder runtime(places("apps.1"));
    ASSERT_TRUE(prepare(runtime, programs({{"scripts", config::Model::cgi}}))->empty());
    EXPECT_EQ(count(), 0u);
    const auto config =
        programs({{"scripts", config::Model::cgi}, {"shop", config::Model::app}, {"blog", config::Model::module}});
    const auto folders = prepare(runtime, config);
    ASSERT_TRUE(folders) << folders.error().message;
    ASSERT_EQ(folders->size(), 2u);
    EXPECT_EQ(folders->at("shop"), parent_ + "/apps.1/1");
    EXPECT_EQ(folders->at("blog"), parent_ + "/apps.1/2");
    struct stat status{};
    ASSERT_EQ(::stat(runtime.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0711u);
    fs::create_directories(folders->at("shop") + "/17/tmp");
    std::ofstream(folders->at("shop") + "/17/ready") << "x";
    // A reload: the same programs have the same folders, a new one gets its own.
    const auto again = prepare(runtime, programs({{"new", config::Model::function}, {"shop", config::Model::app}}));
    ASSERT_TRUE(again);
    EXPECT_EQ(again->at("shop"), folders->at("shop"));
    EXPECT_EQ(again->at("new"), parent_ + "/apps.1/3");
    EXPECT_TRUE(fs::exists(folders->at("shop") + "/17/ready"));
  }
  EXPECT_EQ(count(), 0u);
}

TEST_F(RuntimeFolderTest, TheLongestSocketFitsWhateverTheProgramIsCalled) {
  RuntimeFolder runtime(places());
  const std::string name(60, 'n');
  const auto folders = prepare(runtime, programs({{name, config::Model::app}}));
  ASSERT_TRUE(folders);
  EXPECT_LE((folders->at(name) + "/4294967295/socket").size(), kLongestSocketPath);
  for (const auto& place : runtime_places())
    EXPECT_LE(place.parent.size() + 1 + std::max(place.prefix.size() + 6, place.name.size()) + kLongestRuntimeRest,
              kLongestSocketPath);
}

TEST_F(RuntimeFolderTest, BelongsToTheProgramsUserAndTheServersGroup) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  RuntimeFolder runtime(places());
  const auto config = programs({{"shop", config::Model::app}});
  const auto folders = prepare(runtime, config, 61234, 61235);
  ASSERT_TRUE(folders);
  struct stat status{};
  ASSERT_EQ(::stat(folders->at("shop").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 61234u);
  EXPECT_EQ(status.st_gid, 61235u);
  EXPECT_EQ(status.st_mode & 07777, 02770u);
  // Another user: another folder, so that neither finds the other's.
  const auto other = prepare(runtime, config, 61236, 61235);
  ASSERT_TRUE(other);
  EXPECT_NE(other->at("shop"), folders->at("shop"));
}

TEST_F(RuntimeFolderTest, WithoutRootNobodyElseComesIn) {
  if (::geteuid() == 0) GTEST_SKIP() << "needs another user than root";
  RuntimeFolder runtime(places());
  const auto folders = prepare(runtime, programs({{"shop", config::Model::app}}));
  ASSERT_TRUE(folders);
  struct stat status{};
  ASSERT_EQ(::stat(folders->at("shop").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700u);
}

TEST_F(RuntimeFolderTest, OnlyTheFoldersOfDeadKeepersAreRemoved) {
  RuntimeFolder living(places());
  ASSERT_TRUE(prepare(living, programs({{"shop", config::Model::app}})));
  // A keeper that was killed: its folder stays as it is, its lock does not.
  const std::string dead = parent_ + "/ff-abcdef";
  fs::create_directories(dead + "/1/7");
  std::ofstream(dead + "/fivefold-keeper");
  std::ofstream(dead + "/1/7/socket");
  // Somebody else's things of similar names.
  fs::create_directories(parent_ + "/ff-ghijkl/precious");
  std::ofstream(parent_ + "/ff-file");
  fs::create_directories(parent_ + "/other/1");
  std::ofstream(parent_ + "/other/fivefold-keeper");
  fs::create_directory_symlink(parent_ + "/other", parent_ + "/ff-link");
  EXPECT_TRUE(RuntimeFolder(places()).remove_stale().empty());
  EXPECT_FALSE(fs::exists(dead));
  EXPECT_TRUE(fs::exists(living.path() + "/1"));
  EXPECT_TRUE(fs::exists(parent_ + "/ff-ghijkl/precious"));
  EXPECT_TRUE(fs::exists(parent_ + "/ff-file"));
  EXPECT_TRUE(fs::exists(parent_ + "/other/1"));
}

TEST_F(RuntimeFolderTest, TheNextPlaceIsTakenAndAFailureNamesThemAll) {
  RuntimeFolder second({{parent_ + "/missing", "ff-"}, {parent_, "ff-", "taken"}});
  fs::create_directory(parent_ + "/taken");
  ASSERT_TRUE(prepare(second, programs({{"shop", config::Model::app}})));
  EXPECT_TRUE(second.path().starts_with(parent_ + "/ff-")) << second.path();
  RuntimeFolder none({{parent_ + "/missing", "ff-"}, {parent_ + "/gone", "ff-"}});
  const auto refused = prepare(none, programs({{"shop", config::Model::app}}));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find(parent_ + "/missing (No such file or directory), " + parent_ + "/gone"),
            std::string::npos)
      << refused.error().message;
}

TEST_F(RuntimeFolderTest, WhatAProgramLeavesBehindIsRemovedHoweverDeepAndLinksAreNotFollowed) {
  const std::string outside = parent_ + "/outside";
  fs::create_directory(outside);
  std::ofstream(outside + "/precious");
  const std::string top = parent_ + "/top";
  fs::create_directory(top);
  fs::create_directory_symlink(outside, top + "/link");
  UniqueFd at(::open(top.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int depth = 0; depth < 3000; ++depth) {
    ASSERT_EQ(::mkdirat(at.get(), "d", 0700), 0);
    ASSERT_EQ(::symlinkat(outside.c_str(), at.get(), "s"), 0);
    at.reset(::openat(at.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  fs::create_directories(top + "/closed/inner");
  ::chmod((top + "/closed").c_str(), 0);
  at.reset(::open(top.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto removed = remove_content(at.get(), top);
  EXPECT_TRUE(removed) << removed.error().message;
  EXPECT_TRUE(fs::is_empty(top));
  EXPECT_TRUE(fs::exists(outside + "/precious"));
}

}  // namespace
}  // namespace fivefold::app
