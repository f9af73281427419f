#include "models/files/folder_watcher.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/unique_fd.h"

namespace fivefold::models::files {
namespace {

constexpr std::uint32_t kEvents = IN_CREATE | IN_DELETE | IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO |
                                  IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

// More than the kernel queues (fs.inotify.max_queued_events), so that all is counted; yet an end, whatever is written
// meanwhile.
constexpr int kReadsPerTurn = 64;

}  // namespace

unsigned FolderWatch::slot_of(std::string_view file_name) {
  for (const std::string_view suffix : {".br", ".zst", ".gz"}) {
    if (file_name.size() > suffix.size() && file_name.ends_with(suffix)) {
      file_name.remove_suffix(suffix.size());
      break;
    }
  }
  return static_cast<unsigned>(std::hash<std::string_view>{}(file_name) % kSlots);
}

struct FolderWatcher::Core {
  struct Watched {
    std::weak_ptr<FolderWatch> watch;
    FolderWatch* address =
        nullptr;  // alive while the entry is here: release() removes the entry first, under the mutex
  };
  std::mutex mutex;
  UniqueFd inotify;
  std::size_t limit = 0;
  std::unordered_map<int, Watched> watched;  // by the kernel's watch descriptor

  void release(int descriptor, const FolderWatch* address) {
    const std::lock_guard lock(mutex);
    const auto found = watched.find(descriptor);
    if (found == watched.end() || found->second.address != address) return;  // the folder is watched anew already
    watched.erase(found);
    ::inotify_rm_watch(inotify.get(), descriptor);
  }

  // With the mutex held.
  void count(const inotify_event& event) {
    const auto count_for = [&](const Watched& entry) {
      FolderWatch* watch = entry.address;
      const std::string_view name = event.len > 0 ? std::string_view(event.name) : std::string_view{};
      if (name.empty() || (event.mask & (IN_Q_OVERFLOW | IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT))) {
        watch->count_all();
        return;
      }
      watch->count(FolderWatch::slot_of(name));
      // A file called "a.gz" is a neighbour of "a" and a file of its own: slot_of gives both the same slot.
      watch->count(FolderWatch::kAnyName);
    };
    if (event.mask & IN_Q_OVERFLOW) {
      for (const auto& [descriptor, entry] : watched) count_for(entry);
      return;
    }
    const auto found = watched.find(event.wd);
    if (found == watched.end()) return;
    count_for(found->second);
    if (event.mask & IN_IGNORED) watched.erase(found);
  }

  // Loops take turns: who comes second finds the events counted, not half counted.
  void read_events() {
    alignas(inotify_event) std::array<char, 16384> buffer;
    const std::lock_guard lock(mutex);
    for (int reads = 0; reads < kReadsPerTurn; ++reads) {
      const ssize_t length = ::read(inotify.get(), buffer.data(), buffer.size());
      if (length < 0 && errno == EINTR) continue;
      if (length <= 0) return;
      for (std::size_t at = 0; at < static_cast<std::size_t>(length);) {
        const auto& event = *reinterpret_cast<const inotify_event*>(buffer.data() + at);
        count(event);
        at += sizeof(inotify_event) + event.len;
      }
    }
  }
};

FolderWatcher::FolderWatcher(std::size_t watches) : core_(std::make_shared<Core>()) {
  core_->limit = watches;
  core_->inotify.reset(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
}

void FolderWatcher::poll() {
  if (core_->inotify) core_->read_events();
}

std::shared_ptr<FolderWatch> FolderWatcher::watch(int folder) {
  Core& core = *core_;
  std::shared_ptr<FolderWatch> previous;  // let go of after the lock: letting go takes it too
  const std::lock_guard lock(core.mutex);
  if (!core.inotify) return nullptr;
  const std::string path = "/proc/self/fd/" + std::to_string(folder);
  const int descriptor = ::inotify_add_watch(core.inotify.get(), path.c_str(), kEvents);
  if (descriptor < 0) return nullptr;
  if (const auto found = core.watched.find(descriptor); found != core.watched.end()) {
    previous = found->second.watch.lock();
    if (previous) return previous;
  } else if (core.watched.size() >= core.limit) {
    ::inotify_rm_watch(core.inotify.get(), descriptor);
    return nullptr;
  }
  std::shared_ptr<FolderWatch> made(new FolderWatch, [core = core_, descriptor](FolderWatch* watch) {
    core->release(descriptor, watch);
    delete watch;
  });
  core.watched[descriptor] = {.watch = made, .address = made.get()};
  return made;
}

}  // namespace fivefold::models::files
