#pragma once
// From a path under a folder to an open descriptor, in one step that cannot leave the folder (openat2).
#include <cstdint>
#include <expected>
#include <string>

#include "base/unique_fd.h"

namespace fivefold {

// Which symbolic links are followed: within the folder; also to files of the link's owner; anywhere; none.
enum class Symlinks : std::uint8_t { within, owner, follow, deny };

// How long a look at the file system may take: `cached` touches only what the kernel has in memory and fails with
// EAGAIN when that is not enough, so that an event loop can ask; `blocking` waits for the disk, on a thread that may.
enum class Patience : std::uint8_t { cached, blocking };

// Opens things beneath one folder. Errors are errno values: EAGAIN only when `cached` was not enough; EXDEV for a path
// that leads out of the folder; ELOOP for a symbolic link where none is allowed.
class PathWalk {
 public:
  using Opened = std::expected<UniqueFd, int>;

  PathWalk(Symlinks symlinks, Patience patience) : symlinks_(symlinks), patience_(patience) {}

  // The folder itself, by an absolute path of the configuration, which may lead through any links.
  Opened open_root(const std::string& path) const;
  // `path` is relative to `root` and not empty. `flags` are O_PATH or O_RDONLY; never waits for a FIFO's other end.
  Opened open(int root, const std::string& path, int flags) const;

 private:
  Opened open_beneath(int folder, const char* path, int flags, unsigned long long resolve) const;
  Opened open_absolute_link(int root, const std::string& path, int flags) const;
  Opened open_by_owner(int root, const std::string& path, int flags) const;
  Symlinks symlinks_;
  Patience patience_;
};

}  // namespace fivefold
