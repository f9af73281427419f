#include "app/keeper/runtime_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "app/keeper/remove_tree.h"
#include "base/text.h"

namespace fivefold::app {
namespace {

// Within each folder: by it another keeper knows whose it is. The folder itself is locked as long as its keeper lives,
// which also keeps systemd-tmpfiles away from it and from everything beneath it.
constexpr const char* kMarker = "fivefold-keeper";
constexpr std::string_view kRandom = "XXXXXX";
constexpr int kOpenFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

bool has_instances(const config::Program& program) { return program.model != config::Model::cgi; }

// Whether the folder `name` in `parent` was a keeper's of this user which has ended; `folder` is then open and locked.
bool is_stale(const std::string& path, UniqueFd& folder) {
  folder.reset(::open(path.c_str(), kOpenFolder));
  struct stat status{};
  return folder && ::fstat(folder.get(), &status) == 0 && status.st_uid == ::geteuid() &&
         ::flock(folder.get(), LOCK_EX | LOCK_NB) == 0 &&
         ::fstatat(folder.get(), kMarker, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) &&
         status.st_uid == ::geteuid();
}

}  // namespace

std::vector<RuntimePlace> runtime_places() {
  std::vector<RuntimePlace> places;
  constexpr std::string_view kPrefix = "ff-";
  const char* const own = std::getenv("XDG_RUNTIME_DIR");
  if (::geteuid() == 0)
    places.push_back({"/run", "fivefold-apps.", "fivefold-apps." + std::to_string(::getpid())});
  else if (own && own[0] == '/' &&
           std::string_view(own).size() + 1 + kPrefix.size() + kRandom.size() + kLongestRuntimeRest <=
               kLongestSocketPath)
    places.push_back({own, std::string(kPrefix)});
  places.push_back({"/tmp", std::string(kPrefix)});
  return places;
}

std::vector<std::string> RuntimeFolder::remove_stale() const {
  std::vector<std::string> errors;
  for (const auto& place : places_) {
    DIR* const parent = ::opendir(place.parent.c_str());
    if (!parent) continue;
    std::vector<std::string> paths;
    while (const dirent* entry = ::readdir(parent))
      if (std::string_view(entry->d_name).starts_with(place.prefix))
        paths.push_back(place.parent + "/" + entry->d_name);
    ::closedir(parent);
    for (const auto& path : paths) {
      UniqueFd folder;
      if (!is_stale(path, folder)) continue;
      if (auto removed = remove_content(folder.get(), path); !removed)
        errors.push_back(removed.error().message);
      else
        ::rmdir(path.c_str());
    }
  }
  return errors;
}

bool RuntimeFolder::make_at(const RuntimePlace& place) {
  std::string path = place.parent + "/" + place.name;
  if (place.name.empty() || ::mkdir(path.c_str(), 0700) != 0) {
    path = place.parent + "/" + place.prefix + std::string(kRandom);
    if (!::mkdtemp(path.data())) return false;
  }
  path_ = path;
  folder_.reset(::open(path.c_str(), kOpenFolder));
  // Another keeper that looks for stale ones may hold the lock for a moment; it leaves a folder without a marker alone.
  if (folder_ && ::flock(folder_.get(), LOCK_EX) == 0) {
    const UniqueFd marker(::openat(folder_.get(), kMarker, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (marker && ::fchmod(folder_.get(), 0711) == 0) return true;
  }
  const int error = errno;
  (void)remove();
  errno = error;
  return false;
}

Result<void> RuntimeFolder::make() {
  std::string tried;
  for (const auto& place : places_) {
    if (make_at(place)) return {};
    tried += (tried.empty() ? "" : ", ") + place.parent + " (" + errno_text(errno) + ")";
  }
  return fail(Code::internal, "no folder for the sockets of applications can be made: tried " + tried +
                                  "; make one of these writable for the user who starts Fivefold");
}

Result<std::string> RuntimeFolder::folder_for(const std::string& program, uid_t owner, gid_t group) {
  const auto [place, added] = numbers_.try_emplace({program, owner, group}, static_cast<unsigned>(numbers_.size()) + 1);
  const std::string name = std::to_string(place->second);
  std::string path = path_ + "/" + name;
  if (!added) return path;
  const bool root = ::geteuid() == 0;
  const bool made = ::mkdirat(folder_.get(), name.c_str(), 0700) == 0;
  const UniqueFd folder(made ? ::openat(folder_.get(), name.c_str(), kOpenFolder) : -1);
  // Changing the owner clears the set-group-id bit, so it comes after that.
  if (folder && (!root || ::fchown(folder.get(), owner, group) == 0) &&
      ::fchmod(folder.get(), root ? 02770 : 0700) == 0)
    return path;
  const int error = errno;
  if (made) ::unlinkat(folder_.get(), name.c_str(), AT_REMOVEDIR);
  numbers_.erase(place);
  return fail_errno(error, "program " + program + ": its folder for sockets cannot be made: " + path);
}

Result<std::map<std::string, std::string>> RuntimeFolder::prepare(const config::Config& config,
                                                                  const std::vector<process::Identity>& identities,
                                                                  const std::map<std::string, std::uint32_t>& indices,
                                                                  const Account& server) {
  std::map<std::string, std::string> folders;
  for (const auto& program : config.programs) {
    if (!has_instances(program)) continue;
    if (path_.empty())
      if (auto made = make(); !made) return std::unexpected(std::move(made.error()));
    auto folder = folder_for(program.name, identities.at(indices.at(program.name)).uid, server.gid);
    if (!folder) return std::unexpected(std::move(folder.error()));
    folders.emplace(program.name, std::move(*folder));
  }
  return folders;
}

Result<void> RuntimeFolder::remove() {
  Result<void> removed;
  if (path_.empty()) return removed;
  if (folder_) removed = remove_content(folder_.get(), path_);
  ::rmdir(path_.c_str());
  folder_.reset();
  path_.clear();
  numbers_.clear();
  return removed;
}

}  // namespace fivefold::app
