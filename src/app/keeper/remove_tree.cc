#include "app/keeper/remove_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/unique_fd.h"

namespace fivefold::app {
namespace {

constexpr int kDepth = 32;         // folders deeper than this are moved up to the top first
constexpr int kMostRounds = 4096;  // looks at the top for what was moved there; bounds the work, 128 k levels deep

// The names in an open folder; nothing when it cannot be read.
std::vector<std::string> names_in(int folder) {
  std::vector<std::string> names;
  const int copy = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* const stream = copy < 0 ? nullptr : ::fdopendir(copy);
  if (!stream) {
    if (copy >= 0) ::close(copy);
    return names;
  }
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(stream);
  return names;
}

struct Removal {
  int top;
  unsigned moved = 0;  // folders moved up to the top
  int error = 0;       // the last one

  void remove(int folder, const std::string& name, int depth) {
    if (::unlinkat(folder, name.c_str(), 0) == 0 || errno == ENOENT) return;
    if (errno != EISDIR && errno != EPERM) {
      error = errno;
      return;
    }
    if (depth >= kDepth) {
      if (::renameat(folder, name.c_str(), top, ("deep." + std::to_string(moved)).c_str()) == 0)
        ++moved;
      else
        error = errno;
      return;
    }
    empty(folder, name, depth);
    if (::unlinkat(folder, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) error = errno;
  }

  void empty(int folder, const std::string& name, int depth) {
    constexpr int kHow = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    UniqueFd inner(::openat(folder, name.c_str(), kHow));
    if (::geteuid() != 0) {
      // All of this is our own user's then, who may have taken his own rights away.
      if (!inner && errno == EACCES && ::fchmodat(folder, name.c_str(), 0700, 0) == 0)
        inner.reset(::openat(folder, name.c_str(), kHow));
      if (inner) ::fchmod(inner.get(), 0700);
    }
    if (!inner) return;
    for (const auto& each : names_in(inner.get())) remove(inner.get(), each, depth + 1);
  }
};

}  // namespace

Result<void> remove_content(int folder, const std::string& path) {
  Removal removal{folder};
  for (int round = 0; round < kMostRounds; ++round) {
    const unsigned moved = removal.moved;
    removal.error = 0;
    for (const auto& name : names_in(folder)) removal.remove(folder, name, 0);
    if (removal.error != 0)
      return fail_errno(removal.error, "cannot remove what is in the folder " + path + ": remove it by hand");
    if (removal.moved == moved) return {};
  }
  return fail(Code::internal,
              "cannot remove what is in the folder " + path + ": it is nested too deep; remove it by hand");
}

}  // namespace fivefold::app
