#include "models/files/folder_watcher.h"

#include "models/files/files_test_support.h"

namespace fivefold::models::files {
namespace {

class FolderWatcherTest : public FilesFixture {
 protected:
  UniqueFd open_root() { return UniqueFd(::open(root_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)); }
  static std::ptrdiff_t inotify_instances() {
    std::ptrdiff_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      count += std::filesystem::read_symlink(entry, gone).string().find("inotify") != std::string::npos;
    }
    return count;
  }
};

TEST_F(FolderWatcherTest, ALoopCountsChangesByName) {
  FolderWatcher watcher;
  on_loop([&] { watcher.attach(loop_); });
  const auto watch = watcher.watch(open_root().get());
  ASSERT_TRUE(watch);
  const unsigned slot = FolderWatch::slot_of("a.txt");
  EXPECT_EQ(slot, FolderWatch::slot_of("a.txt.br"));
  EXPECT_EQ(watch->changes(slot), 0u);
  write("a.txt.gz", "x");
  EXPECT_TRUE(eventually([&] { return watch->changes(slot) > 0; }));
  EXPECT_GT(watch->changes(FolderWatch::kAnyName), 0u);
}

TEST_F(FolderWatcherTest, OneWatchForAFolderAndALimit) {
  std::filesystem::create_directory(root_ + "/other");
  const UniqueFd root = open_root();
  const UniqueFd other(::open((root_ + "/other").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  FolderWatcher watcher(1);
  auto first = watcher.watch(root.get());
  ASSERT_TRUE(first);
  EXPECT_EQ(watcher.watch(root.get()), first);
  EXPECT_FALSE(watcher.watch(other.get()));
  first.reset();
  EXPECT_TRUE(watcher.watch(other.get()));
}

TEST_F(FolderWatcherTest, AMovedFolderLooksChangedInEveryName) {
  std::filesystem::create_directory(root_ + "/folder");
  const UniqueFd folder(::open((root_ + "/folder").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  FolderWatcher watcher;
  const auto watch = watcher.watch(folder.get());
  std::filesystem::rename(root_ + "/folder", root_ + "/moved");
  watcher.poll();
  for (unsigned slot = 0; slot <= FolderWatch::kSlots; ++slot) EXPECT_GT(watch->changes(slot), 0u);
}

TEST_F(FolderWatcherTest, LoopsLetGoWhenItIsDestroyed) {
  const auto before = inotify_instances();
  {
    FolderWatcher watcher;
    on_loop([&] { watcher.attach(loop_); });
    EXPECT_EQ(inotify_instances(), before + 2);
  }
  EXPECT_TRUE(eventually([&] { return inotify_instances() == before; }));
}

TEST_F(FolderWatcherTest, AWatchMayOutliveItsWatcher) {
  std::shared_ptr<FolderWatch> watch;
  {
    FolderWatcher watcher;
    watch = watcher.watch(open_root().get());
    ASSERT_TRUE(watch);
  }
  write("a.txt", "x");
  EXPECT_EQ(watch->changes(FolderWatch::slot_of("a.txt")), 0u);
}

}  // namespace
}  // namespace fivefold::models::files
