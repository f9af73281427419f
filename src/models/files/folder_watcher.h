#pragma once
// Tells at once when something in a folder changes (inotify).
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

namespace fivefold::models::files {

// Counts the changes in one folder, apart by name: a log that grows in it does not make every other file look changed.
// Any thread may read it.
class FolderWatch {
 public:
  static constexpr unsigned kSlots = 64;
  static constexpr unsigned kAnyName = kSlots;  // counts every change

  // Which counter a file and its precompressed neighbours share.
  static unsigned slot_of(std::string_view file_name);
  std::uint32_t changes(unsigned slot) const { return changes_[slot].load(std::memory_order_acquire); }

 private:
  friend class FolderWatcher;
  void count(unsigned slot) { changes_[slot].fetch_add(1, std::memory_order_release); }
  void count_all() {
    for (unsigned slot = 0; slot <= kSlots; ++slot) count(slot);
  }
  std::array<std::atomic<std::uint32_t>, kSlots + 1> changes_{};
};

// One inotify instance for all loops of the server; whichever asks counts for all. The kernel queues an event before
// the change is done, so that whoever asks knows of all that was done before. A watch lasts as long as somebody holds
// it.
class FolderWatcher {
 public:
  // Folders watched at once; over it, changes are noticed after `valid`.
  static constexpr std::size_t kWatches = 16384;

  explicit FolderWatcher(std::size_t watches = kWatches);

  // Null when the folder cannot be watched: too many are, the system has no inotify or no /proc. Any thread; never
  // waits for a disk.
  std::shared_ptr<FolderWatch> watch(int folder);
  // Counts what has happened so far. Any thread; one system call when nothing has.
  void poll();

 private:
  struct Core;
  std::shared_ptr<Core> core_;
};

}  // namespace fivefold::models::files
