#include "process/cgroup_pool.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "process/descendants.h"

namespace fivefold::process {
namespace {

constexpr std::uint64_t kMostLeftBehind = 1024 * 1024;  // bytes of shared memory in a folder that is used again
constexpr std::string_view kOwnFolder =
    "fivefold-processes";  // where the keeper's own processes live, beside the programs' folders

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// 0 or an errno.
int write_text(int folder, const std::string& name, std::string_view text) {
  const UniqueFd file(::openat(folder, name.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return errno;
  return ::write(file.get(), text.data(), text.size()) < 0 ? errno : 0;
}

bool has_word(const std::string& text, std::string_view word) {
  std::istringstream words(text);
  for (std::string each; words >> each;)
    if (each == word) return true;
  return false;
}

// The mount point of the cgroup v2 hierarchy; empty where there is none.
std::string find_mount() {
  std::istringstream lines(read_text("/proc/self/mountinfo"));
  for (std::string line; std::getline(lines, line);) {
    if (line.find(" - cgroup2 ") == std::string::npos) continue;
    std::istringstream words(line);
    std::string word;
    for (int i = 0; i < 5; ++i) words >> word;
    return word;
  }
  return {};
}

// This process's cgroup v2 path, as "/system.slice/fivefold.service".
std::string find_own() {
  std::istringstream lines(read_text("/proc/self/cgroup"));
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("0::/")) return line.substr(3);
  return {};
}

// This process, the keeper and the keeper's other children go from the folder `from` to `to`, so that `from` may have
// controllers.
void move_family(int to) {
  std::vector<pid_t> family = children_of(::getppid());
  family.push_back(::getppid());
  family.push_back(::getpid());
  for (const pid_t pid : family) write_text(to, "cgroup.procs", std::to_string(pid));
}

}  // namespace

Result<std::unique_ptr<CgroupPool>> CgroupPool::open(const std::vector<std::string>& controllers) {
  const std::string mount = find_mount();
  std::string own = find_own();
  if (mount.empty() || own.empty()) return fail(Code::internal, "there is no cgroup v2 hierarchy");
  const std::string suffix = "/" + std::string(kOwnFolder);
  if (own.ends_with(suffix)) own.resize(own.size() - suffix.size());
  const std::string base = own == "/" ? mount : mount + own;
  const std::string available = read_text(base + "/cgroup.controllers");
  for (const std::string& controller : controllers)
    if (!has_word(available, controller))
      return fail(Code::internal, "the cgroup " + base + " has no \"" + controller + "\" controller");
  const UniqueFd folder(::open(base.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return fail_errno(errno, "opening the cgroup " + base);
  if (::faccessat(folder.get(), ".", W_OK, AT_EACCESS) != 0)
    return fail_errno(errno, "making folders in the cgroup " + base);
  std::string wanted;
  const std::string enabled = read_text(base + "/cgroup.subtree_control");
  for (const std::string& controller : controllers)
    if (!has_word(enabled, controller)) wanted += (wanted.empty() ? "+" : " +") + controller;
  if (!wanted.empty() && write_text(folder.get(), "cgroup.subtree_control", wanted) != 0) {
    // A cgroup with processes cannot hand controllers on.
    const std::string own_folder = base + suffix;
    if (::mkdir(own_folder.c_str(), 0755) != 0 && errno != EEXIST)
      return fail_errno(errno, "making the cgroup " + own_folder);
    const UniqueFd leaf(::open(own_folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!leaf) return fail_errno(errno, "opening the cgroup " + own_folder);
    move_family(leaf.get());
    if (const int error = write_text(folder.get(), "cgroup.subtree_control", wanted); error != 0) {
      move_family(folder.get());
      ::rmdir(own_folder.c_str());
      return fail_errno(error, "handing controllers on in the cgroup " + base);
    }
  }
  return std::unique_ptr<CgroupPool>(new CgroupPool(base));
}

CgroupPool::~CgroupPool() {
  for (const auto& folder : idle_) ::rmdir(folder->path.c_str());
}

Result<std::unique_ptr<CgroupFolder>> CgroupPool::take(std::uint64_t memory, std::uint64_t processes) {
  for (auto it = idle_.rbegin(); it != idle_.rend(); ++it) {
    if ((*it)->memory != memory || (*it)->processes != processes) continue;
    std::unique_ptr<CgroupFolder> folder = std::move(*it);
    idle_.erase(std::next(it).base());
    return folder;
  }
  auto folder = std::make_unique<CgroupFolder>();
  folder->memory = memory;
  folder->processes = processes;
  folder->path = base_ + "/fivefold-" + std::to_string(::getpid()) + "-" + std::to_string(made_++);
  if (::mkdir(folder->path.c_str(), 0755) != 0 && errno != EEXIST)
    return fail_errno(errno, "making the cgroup " + folder->path);
  folder->fd.reset(::open(folder->path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  int error = folder->fd ? 0 : errno;
  if (error == 0 && memory != 0) error = write_text(folder->fd.get(), "memory.max", std::to_string(memory));
  // Not every kernel counts swap; a whole tree dying together is better than a part of it where that can be had.
  if (error == 0 && memory != 0) {
    write_text(folder->fd.get(), "memory.swap.max", "0");
    write_text(folder->fd.get(), "memory.oom.group", "1");
  }
  if (error == 0 && processes != 0) error = write_text(folder->fd.get(), "pids.max", std::to_string(processes));
  if (error != 0) {
    ::rmdir(folder->path.c_str());
    return fail_errno(error, "setting the limits of the cgroup " + folder->path);
  }
  return folder;
}

// What a program left in a tmpfs stays charged to its folder and would count against the next one's limit; the folder
// is removed then, and the charge goes to its parent.
void CgroupPool::give_back(std::unique_ptr<CgroupFolder> folder) {
  if (folder->memory != 0) {
    const std::string statistics = read_text(folder->path + "/memory.stat");
    const auto line = statistics.find("\nshmem ");
    if (line != std::string::npos && std::strtoull(statistics.c_str() + line + 7, nullptr, 10) > kMostLeftBehind) {
      ::rmdir(folder->path.c_str());
      return;
    }
  }
  idle_.push_back(std::move(folder));
}

void CgroupPool::kill(const CgroupFolder& folder) { write_text(folder.fd.get(), "cgroup.kill", "1"); }

bool CgroupPool::is_empty(const CgroupFolder& folder) {
  return read_text(folder.path + "/cgroup.events").find("populated 0") != std::string::npos;
}

}  // namespace fivefold::process
