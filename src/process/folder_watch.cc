#include "process/folder_watch.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>

namespace fivefold::process {

// What a look has found: for every file what changes when it is written.
struct FolderWatch::Seen {
  std::string root;
  std::map<std::string, std::uint64_t> files;
  bool operator==(const Seen&) const = default;
};

namespace {

bool is_skipped(const std::string& name) {
  static constexpr std::string_view kSkipped[] = {".git",        ".hg",   ".svn", "node_modules",
                                                  "__pycache__", ".venv", "venv", ".cache"};
  return std::ranges::find(kSkipped, name) != std::end(kSkipped);
}

std::uint64_t state_of(const struct stat& status) {
  std::uint64_t state = static_cast<std::uint64_t>(status.st_mtim.tv_sec) * 1'000'000'007ull +
                        static_cast<std::uint64_t>(status.st_mtim.tv_nsec);
  state = state * 31 + static_cast<std::uint64_t>(status.st_size);
  return state * 31 + status.st_ino;
}

void look_at(const std::string& path, std::map<std::string, std::uint64_t>& files, std::size_t most) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    files.emplace(path, 0);
    return;
  }
  files.emplace(path, S_ISDIR(status.st_mode) ? status.st_ino : state_of(status));
  if (!S_ISDIR(status.st_mode)) return;
  std::error_code error;
  std::filesystem::directory_iterator entries(path, std::filesystem::directory_options::skip_permission_denied, error);
  for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    if (files.size() >= most) return;
    const auto name = entries->path().filename().string();
    if (is_skipped(name)) continue;
    std::error_code ignored;
    if (entries->is_symlink(ignored) && entries->is_directory(ignored)) continue;  // it may lead round in a circle
    look_at(entries->path().string(), files, most);
  }
}

// The first path in which two looks differ.
std::string difference(const std::map<std::string, std::uint64_t>& before,
                       const std::map<std::string, std::uint64_t>& after) {
  for (const auto& [path, state] : after) {
    const auto old = before.find(path);
    if (old == before.end() || old->second != state) return path;
  }
  for (const auto& [path, state] : before)
    if (!after.contains(path)) return path;
  return {};
}

}  // namespace

std::string resolved(const std::string& path) {
  std::error_code error;
  auto found = std::filesystem::canonical(path, error);
  return error ? path : found.string();
}

FolderWatch::FolderWatch(net::Loop& loop, net::BlockingPool& blocking, std::string root, std::vector<std::string> paths,
                         std::function<void(const Change&)> changed)
    : loop_(loop),
      blocking_(blocking),
      root_(std::move(root)),
      paths_(std::move(paths)),
      changed_(std::move(changed)),
      task_(watch()) {}

FolderWatch::~FolderWatch() = default;

net::Task<void> FolderWatch::watch() {
  const auto look = [root = root_, paths = paths_] {
    Seen seen;
    if (!root.empty()) seen.root = resolved(root);
    for (const auto& path : paths) look_at(path, seen.files, kMostFiles);
    return seen;
  };
  Seen known = co_await net::offload(blocking_, loop_, look);
  Seen last = known;
  while (true) {
    co_await net::sleep_until(loop_, loop_.now() + kInterval);
    Seen now = co_await net::offload(blocking_, loop_, look);
    const bool quiet = now == last;
    last = now;
    if (!quiet || now == known) continue;
    Change change{.what = now.root != known.root ? root_ : difference(known.files, now.files),
                  .moved = now.root != known.root,
                  .root = now.root};
    known = std::move(now);
    changed_(change);
  }
}

}  // namespace fivefold::process
