#include "models/files/folder_watcher.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <climits>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>

#include "base/unique_fd.h"

namespace fivefold::models::files {
namespace {

constexpr std::uint32_t kEvents = IN_CREATE | IN_DELETE | IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO |
                                  IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
// The thread rests this long after each batch, so that a folder that changes all the time costs no core; the kernel
// merges equal events meanwhile.
constexpr int kRestMilliseconds = 2;

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
  UniqueFd wake;
  std::size_t limit = 0;
  bool started = false;
  std::unordered_map<int, Watched> watched;  // by the kernel's watch descriptor
  std::jthread reader;

  void release(int descriptor, const FolderWatch* address) {
    const std::lock_guard lock(mutex);
    const auto found = watched.find(descriptor);
    if (found == watched.end() || found->second.address != address) return;  // the folder is watched anew already
    watched.erase(found);
    ::inotify_rm_watch(inotify.get(), descriptor);
  }

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
    const std::lock_guard lock(mutex);
    if (event.mask & IN_Q_OVERFLOW) {
      for (const auto& [descriptor, entry] : watched) count_for(entry);
      return;
    }
    const auto found = watched.find(event.wd);
    if (found == watched.end()) return;
    count_for(found->second);
    if (event.mask & IN_IGNORED) watched.erase(found);
  }

  void read_events() {
    alignas(inotify_event) std::array<char, 16384> buffer;
    while (true) {
      std::array<pollfd, 2> waiting{pollfd{.fd = inotify.get(), .events = POLLIN, .revents = 0},
                                    pollfd{.fd = wake.get(), .events = POLLIN, .revents = 0}};
      if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) return;
      if (waiting[1].revents != 0) return;
      const ssize_t length = ::read(inotify.get(), buffer.data(), buffer.size());
      if (length <= 0) {
        if (length < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        return;
      }
      for (std::size_t at = 0; at < static_cast<std::size_t>(length);) {
        const auto& event = *reinterpret_cast<const inotify_event*>(buffer.data() + at);
        count(event);
        at += sizeof(inotify_event) + event.len;
      }
      if (::poll(&waiting[1], 1, kRestMilliseconds) > 0) return;
    }
  }
};

FolderWatcher::FolderWatcher(std::size_t watches) : core_(std::make_shared<Core>()) { core_->limit = watches; }

FolderWatcher::~FolderWatcher() {
  if (!core_->reader.joinable()) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(core_->wake.get(), &one, sizeof one);
  core_->reader.join();
}

std::shared_ptr<FolderWatch> FolderWatcher::watch(int folder) {
  Core& core = *core_;
  std::shared_ptr<FolderWatch> previous;  // let go of after the lock: letting go takes it too
  const std::lock_guard lock(core.mutex);
  if (!core.started) {
    core.started = true;
    core.inotify.reset(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    core.wake.reset(::eventfd(0, EFD_CLOEXEC));
    if (core.inotify && core.wake) core.reader = std::jthread([&core] { core.read_events(); });
  }
  if (!core.reader.joinable()) return nullptr;
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
