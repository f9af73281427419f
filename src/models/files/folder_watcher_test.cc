#include "models/files/folder_watcher.h"

#include "models/files/files_test_support.h"

namespace fivefold::models::files {
namespace {

class FolderWatcherTest : public FilesFixture {
 protected:
  UniqueFd open_root() { return UniqueFd(::open(root_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)); }
};

TEST_F(FolderWatcherTest, CountsChangesByName) {
  FolderWatcher watcher;
  const auto watch = watcher.watch(open_root().get());
  ASSERT_TRUE(watch);
  const unsigned slot = FolderWatch::slot_of("a.txt");
  EXPECT_EQ(slot, FolderWatch::slot_of("a.txt.br"));
  EXPECT_EQ(watch->changes(slot), 0u);
  write("a.txt.gz", "x");
  EXPECT_EQ(watch->changes(slot), 0u);
  watcher.poll();
  EXPECT_GT(watch->changes(slot), 0u);
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

TEST_F(FolderWatcherTest, MoreEventsThanTheKernelKeepsLookLikeAChangeInEveryName) {
  const UniqueFd root = open_root();
  FolderWatcher watcher;
  const auto watch = watcher.watch(root.get());
  std::size_t queued = 16384;
  std::ifstream("/proc/sys/fs/inotify/max_queued_events") >> queued;
  if (queued > 100'000) GTEST_SKIP() << "this system keeps " << queued << " events";
  write("a", "x");
  write("b", "x");
  for (std::size_t i = 0; i <= queued; ++i)
    ::utimensat(root.get(), i % 2 ? "a" : "b", nullptr, 0);  // equal neighbours would be merged
  watcher.poll();
  for (unsigned slot = 0; slot <= FolderWatch::kSlots; ++slot) EXPECT_GT(watch->changes(slot), 0u);
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
