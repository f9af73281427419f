#pragma once
// What the files handlers of one site share.
#include <atomic>
#include <memory>
#include <vector>

#include "config/config.h"
#include "models/files/folder_watcher.h"
#include "models/files/open_file_cache.h"

namespace fivefold::models::files {

class FileCaches {
 public:
  // The caches together keep at most this share of the descriptors the process may have open; connections need the
  // rest.
  static constexpr std::size_t kDescriptorShare = 4;

  FileCaches(const config::OpenFileCache& settings, unsigned loops, std::size_t watches = FolderWatcher::kWatches);

  // The cache of one loop; touched on that loop only.
  const std::shared_ptr<OpenFileCache>& of(unsigned loop) const { return caches_[loop]; }
  // Before a cached entry is trusted: counts what has changed since, unless that was done on this loop less than
  // kAskAgain ago, so that a busy loop pays one short system call for several requests.
  void catch_up(net::Loop& loop, net::TimePoint now) {
    net::TimePoint& asked = asked_[loop.index()].at;
    if (now - asked < kAskAgain || !watcher_) return;
    asked = now;
    watcher_->poll();
  }
  static constexpr std::chrono::microseconds kAskAgain{50};
  const std::shared_ptr<FolderWatcher>& watcher() const { return watcher_; }
  // Files up to this size are read into memory; none when nothing is kept.
  std::size_t content_limit() const { return settings_.entries == 0 ? 0 : settings_.content; }
  // Tells the handlers' entries apart.
  std::uint32_t next_handler() { return handlers_.fetch_add(1, std::memory_order_relaxed); }

 private:
  struct alignas(64) Asked {  // each loop touches its own
    net::TimePoint at{};
  };

  config::OpenFileCache settings_;
  std::shared_ptr<FolderWatcher> watcher_;
  std::vector<std::shared_ptr<OpenFileCache>> caches_;
  std::vector<Asked> asked_;
  std::atomic<std::uint32_t> handlers_{0};
};

}  // namespace fivefold::models::files
