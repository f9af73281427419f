#pragma once
// Notices that a program's code has changed: files under `watch`, or a symbolic link on the way to its folder that
// leads to another release.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/blocking.h"
#include "net/loop.h"

namespace fivefold::process {

// Looks every kInterval, on the blocking pool. A change is reported once it has been quiet for one look, so that a
// deployment that copies many files is one change. Version control, node_modules and caches are not looked into.
class FolderWatch {
 public:
  static constexpr std::chrono::milliseconds kInterval{1000};
  static constexpr std::size_t kMostFiles = 50'000;  // looked at; more are not noticed

  struct Change {
    std::string what;    // the first path that differs
    bool moved = false;  // `root` leads elsewhere now
    std::string root;    // where, with links resolved
  };
  // `root` as configured, may be empty. `paths`: files and folders to watch, may be none.
  FolderWatch(net::Loop& loop, net::BlockingPool& blocking, std::string root, std::vector<std::string> paths,
              std::function<void(const Change&)> changed);
  ~FolderWatch();

 private:
  struct Seen;
  net::Task<void> watch();
  net::Loop& loop_;
  net::BlockingPool& blocking_;
  std::string root_;
  std::vector<std::string> paths_;
  std::function<void(const Change&)> changed_;
  net::Running task_;
};

// `path` with its links resolved; itself when that is not possible.
std::string resolved(const std::string& path);

}  // namespace fivefold::process
