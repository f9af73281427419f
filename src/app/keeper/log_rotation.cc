#include "app/keeper/log_rotation.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "control/paths.h"

namespace fivefold::app {
namespace {

struct LimitedLog {
  std::string path;
  int fd;
  std::uint64_t limit;
};

std::vector<LimitedLog> limited(const config::Config& config, const LogFiles* files) {
  const auto& server = config.server;
  std::vector<LimitedLog> logs;
  const auto add = [&logs](const std::string& path, const UniqueFd* fd, std::uint64_t limit) {
    if (limit != 0 && path.starts_with('/')) logs.push_back({path, fd ? fd->get() : -1, limit});
  };
  add(server.log, files ? &files->server : nullptr, server.log_max_size.value_or(0));
  add(server.access_log, files ? &files->access : nullptr, server.log_max_size.value_or(0));
  for (const auto& program : config.programs) {
    const UniqueFd* own = nullptr;
    if (files)
      if (const auto found = files->programs.find(program.name); found != files->programs.end()) own = &found->second;
    add(control::program_log_path(server, program.name), own,
        server.log_max_size.value_or(LogRotation::kProgramLogSize));
  }
  return logs;
}

bool same_file(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

// The name is free at no time: the old file gets its second name before the new one takes the first.
// 0, or the errno of what could not be done; then nothing is lost, and `name` is still the old file.
int rotate(int folder, const std::string& name, const struct stat& file, unsigned keep) {
  const std::string fresh = name + ".new";
  ::unlinkat(folder, fresh.c_str(), 0);  // of a keeper that was killed in here
  const UniqueFd made(
      ::openat(folder, fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, file.st_mode & 0777));
  if (!made) return errno;
  (void)!::fchown(made.get(), file.st_uid, file.st_gid);  // as root alone
  ::fchmod(made.get(), file.st_mode & 0777);
  const auto numbered = [&name](unsigned number) { return name + "." + std::to_string(number); };
  const auto give_up = [folder, &fresh](int error) {
    ::unlinkat(folder, fresh.c_str(), 0);
    return error;
  };
  for (unsigned number = keep + 1; ::unlinkat(folder, numbered(number).c_str(), 0) == 0;) ++number;  // keep was more
  for (unsigned number = keep; number > 1; --number)
    if (::renameat(folder, numbered(number - 1).c_str(), folder, numbered(number).c_str()) != 0 && errno != ENOENT)
      return give_up(errno);
  ::unlinkat(folder, numbered(1).c_str(), 0);  // where one is kept
  if (::linkat(folder, name.c_str(), folder, numbered(1).c_str(), 0) != 0 &&
      ::renameat(folder, name.c_str(), folder, numbered(1).c_str()) != 0)  // a disk without hard links
    return give_up(errno);
  if (::renameat(folder, fresh.c_str(), folder, name.c_str()) != 0) {
    const int error = errno;
    ::renameat(folder, numbered(1).c_str(), folder, name.c_str());
    return give_up(error);
  }
  return 0;
}

}  // namespace

LogRotation::Clock::time_point LogRotation::due(const config::Config& config) const {
  return limited(config, nullptr).empty() ? Clock::time_point::max() : next_;
}

bool LogRotation::look(const config::Config& config, const LogFiles& files, Clock::time_point now,
                       const std::function<void(const std::string&)>& warn) {
  next_ = now + kLook;
  bool any = false;
  for (const auto& log : limited(config, &files)) {
    struct stat file{}, named{};
    if (log.fd < 0 || ::fstat(log.fd, &file) != 0 || !S_ISREG(file.st_mode) ||
        static_cast<std::uint64_t>(file.st_size) < log.limit)
      continue;
    // A link stays a link: what it names is renamed. Between here and there nobody can put another folder in its place.
    std::error_code none;
    const auto path = std::filesystem::canonical(log.path, none);
    const UniqueFd folder(::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const auto name = path.filename().string();
    if (!folder || ::fstatat(folder.get(), name.c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0 || !same_file(file, named))
      continue;  // somebody else has moved it
    if (const int error = rotate(folder.get(), name, file, config.server.log_keep); error == 0) {
      any = true;
      troubled_.erase(log.path);
    } else {
      next_ = now + kAfterFailure;
      if (troubled_.insert(log.path).second)
        warn("The log " + log.path +
             " has reached its log_max_size, but no new one can be begun beside it: " + errno_text(error) +
             "; it grows on. Let the user that starts Fivefold write to its folder, free some space, or set "
             "[server] log_max_size = 0");
    }
  }
  return any;
}

}  // namespace fivefold::app
