#include "models/files/files_test_support.h"

namespace fivefold::models::files {
namespace {

class SymlinkTest : public FilesFixture {
 protected:
  SymlinkTest() {
    write("real/file.txt", "inside");
    std::ofstream(outer_ + "/outside.txt") << "outside";
    namespace fs = std::filesystem;
    fs::create_symlink("real/file.txt", root_ + "/relative");
    fs::create_symlink(root_ + "/real/file.txt", root_ + "/absolute");
    fs::create_symlink("../outside.txt", root_ + "/out");
    fs::create_symlink(outer_ + "/outside.txt", root_ + "/out-absolute");
    fs::create_directory_symlink("..", root_ + "/up");
    fs::create_symlink("circle", root_ + "/circle");
    fs::create_symlink("nowhere", root_ + "/dangling");
    fs::create_symlink("/proc/self/root/etc/passwd", root_ + "/magic");
  }
};

TEST_F(SymlinkTest, WithinFollowsWhatStaysBelow) {
  EXPECT_EQ(get("/relative").body, "inside");
  EXPECT_EQ(get("/absolute").body, "inside");
  EXPECT_EQ(get("/out").error->code, Code::forbidden);
  EXPECT_EQ(get("/out-absolute").error->code, Code::forbidden);
  EXPECT_EQ(get("/up/outside.txt").error->code, Code::forbidden);
  EXPECT_EQ(get("/up/root/real/file.txt").body, "inside");  // out and in again: it is below
  EXPECT_EQ(get("/circle").error->code, Code::not_found);
  EXPECT_EQ(get("/dangling").error->code, Code::not_found);
  EXPECT_TRUE(get("/magic").error);
}

TEST_F(SymlinkTest, DenyFollowsNone) {
  files_.symlinks = config::Symlinks::deny;
  EXPECT_EQ(get("/relative").error->code, Code::forbidden);
  EXPECT_EQ(get("/absolute").error->code, Code::forbidden);
  EXPECT_EQ(get("/real/file.txt").body, "inside");
}

TEST_F(SymlinkTest, FollowFollowsAllButMagic) {
  files_.symlinks = config::Symlinks::follow;
  EXPECT_EQ(get("/relative").body, "inside");
  EXPECT_EQ(get("/out").body, "outside");
  EXPECT_EQ(get("/up/outside.txt").body, "outside");
  EXPECT_TRUE(get("/magic").error);
}

TEST_F(SymlinkTest, OwnerFollowsOutToFilesOfTheLinksOwner) {
  files_.symlinks = config::Symlinks::owner;
  EXPECT_EQ(get("/relative").body, "inside");
  EXPECT_EQ(get("/out").body, "outside");
  EXPECT_EQ(get("/out-absolute").body, "outside");
  EXPECT_EQ(get("/up/outside.txt").body, "outside");
  if (::geteuid() != 0) return;
  ASSERT_EQ(::lchown((root_ + "/out").c_str(), 12345, 12345), 0);
  ASSERT_EQ(::lchown((root_ + "/relative").c_str(), 12345, 12345), 0);
  EXPECT_TRUE(eventually([&] {
    const Answer answer = get("/out");
    return answer.error && answer.error->code == Code::forbidden;
  }));
  EXPECT_EQ(get("/relative").body, "inside");
}

TEST_F(SymlinkTest, AReplacedRootIsNoticed) {
  write("v1/a", "one");
  write("v2/a", "two");
  std::filesystem::create_directory_symlink("v1", root_ + "/current");
  files_.root = root_ + "/current";
  cache_.valid = std::chrono::milliseconds(0);
  EXPECT_EQ(get("/a").body, "one");
  std::filesystem::create_directory_symlink("v2", root_ + "/next");
  std::filesystem::rename(root_ + "/next", root_ + "/current");
  EXPECT_EQ(get("/a").body, "two");
}

}  // namespace
}  // namespace fivefold::models::files
