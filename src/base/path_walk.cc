#include "base/path_walk.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

namespace fivefold {
namespace {

// RESOLVE_BENEATH may say EAGAIN when a folder is being renamed while ".." of a link is followed; it is tried again
// this often.
constexpr int kRenameRetries = 8;
// Links followed by open_by_owner on one path, as many as the kernel follows.
constexpr int kLinksFollowed = 40;

std::expected<std::string, int> path_of(int fd) {
  std::array<char, PATH_MAX + 1> buffer;
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = ::readlink(link.c_str(), buffer.data(), buffer.size());
  if (length < 0) return std::unexpected(errno);
  return std::string(buffer.data(), static_cast<std::size_t>(length));
}

bool is_beneath(const std::string& path, const std::string& folder) {
  if (folder == "/") return true;
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

// The file behind an O_PATH descriptor, opened with `flags`.
PathWalk::Opened reopen(UniqueFd fd, int flags) {
  if (flags & O_PATH) return fd;
  const std::string link = "/proc/self/fd/" + std::to_string(fd.get());
  UniqueFd opened(::open(link.c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!opened) return std::unexpected(errno);
  return opened;
}

}  // namespace

PathWalk::Opened PathWalk::open_beneath(int folder, const char* path, int flags, unsigned long long resolve) const {
  open_how how{};
  how.flags = static_cast<unsigned long long>(flags | O_CLOEXEC);
  if (!(flags & O_PATH)) how.flags |= O_NONBLOCK | O_NOCTTY;
  how.resolve = resolve | RESOLVE_NO_MAGICLINKS;
  if (patience_ == Patience::cached) how.resolve |= RESOLVE_CACHED;
  for (int attempt = 0;; ++attempt) {
    const long fd = ::syscall(SYS_openat2, folder, path, &how, sizeof how);
    if (fd >= 0) return UniqueFd(static_cast<int>(fd));
    if (errno == EINTR) continue;
    if (errno == EAGAIN && patience_ == Patience::blocking && attempt < kRenameRetries) continue;
    return std::unexpected(errno);
  }
}

PathWalk::Opened PathWalk::open_root(const std::string& path) const {
  return open_beneath(AT_FDCWD, path.c_str(), O_PATH | O_DIRECTORY, 0);
}

PathWalk::Opened PathWalk::open(int root, const std::string& path, int flags) const {
  switch (symlinks_) {
    case Symlinks::deny:
      return open_beneath(root, path.c_str(), flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    case Symlinks::follow:
      return open_beneath(root, path.c_str(), flags, 0);
    case Symlinks::within:
    case Symlinks::owner:
      break;
  }
  auto opened = open_beneath(root, path.c_str(), flags, RESOLVE_BENEATH);
  if (opened || opened.error() != EXDEV) return opened;
  auto inside = open_absolute_link(root, path, flags);
  if (inside || inside.error() != EXDEV || symlinks_ == Symlinks::within) return inside;
  return open_by_owner(root, path, flags);
}

// RESOLVE_BENEATH refuses every absolute link, also one that leads back into the folder. What was opened is judged by
// where the kernel says it is, not by its name, so that nobody can exchange it in between.
PathWalk::Opened PathWalk::open_absolute_link(int root, const std::string& path, int flags) const {
  auto opened = open_beneath(root, path.c_str(), O_PATH, 0);
  if (!opened) return opened;
  const auto folder = path_of(root);
  const auto place = path_of(opened->get());
  if (!folder || !place || !is_beneath(*place, *folder)) return std::unexpected(EXDEV);
  return reopen(std::move(*opened), flags);
}

// Walks the path one name at a time. A link is followed when its target belongs to the link's owner, or lies beneath
// the root. The link's text is read from the link that was looked at, so that it cannot be exchanged between the look
// and the step.
PathWalk::Opened PathWalk::open_by_owner(int root, const std::string& path, int flags) const {
  UniqueFd here(::fcntl(root, F_DUPFD_CLOEXEC, 0));
  if (!here) return std::unexpected(errno);
  int links = 0;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string name = path.substr(begin, end - begin);
    begin = end + 1;
    if (name.empty()) continue;
    auto step = open_beneath(here.get(), name.c_str(), O_PATH | O_NOFOLLOW, 0);
    if (!step) return step;
    struct stat link{};
    if (::fstat(step->get(), &link) != 0) return std::unexpected(errno);
    if (S_ISLNK(link.st_mode)) {
      if (++links > kLinksFollowed) return std::unexpected(ELOOP);
      std::array<char, PATH_MAX + 1> text;
      const ssize_t length = ::readlinkat(step->get(), "", text.data(), text.size() - 1);
      if (length < 0) return std::unexpected(errno);
      text[static_cast<std::size_t>(length)] = '\0';
      auto target = open_beneath(here.get(), text.data(), O_PATH, 0);
      if (!target) return target;
      struct stat reached{};
      if (::fstat(target->get(), &reached) != 0) return std::unexpected(errno);
      if (reached.st_uid != link.st_uid) {
        const auto folder = path_of(root);
        const auto place = path_of(target->get());
        if (!folder || !place || !is_beneath(*place, *folder)) return std::unexpected(EXDEV);
      }
      step = std::move(target);
    }
    here = std::move(*step);
  }
  return reopen(std::move(here), flags);
}

}  // namespace fivefold
