#pragma once
// cgroup v2 folders that processes with limits are born in: memory and process count are then counted for the whole
// tree of a process, and cgroup.kill reaches what has left its process group. Folders are used again, so a start costs
// no mkdir once warm.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"

namespace fivefold::process {

struct CgroupFolder {
  std::string path;
  UniqueFd fd;  // the folder, for clone3
  std::uint64_t memory = 0;
  std::uint64_t processes = 0;
};

class CgroupPool {
 public:
  // Finds this process's own cgroup and makes its controllers available below it, which needs write permission (as
  // under systemd with Delegate=yes) and moves the keeper's processes into a folder of their own. Error: why it is not
  // possible here, nothing changed.
  static Result<std::unique_ptr<CgroupPool>> open(const std::vector<std::string>& controllers = {"memory", "pids"});
  // Removes the folders; nobody may live in them any more.
  ~CgroupPool();

  // A folder with these limits (0 is none), which the caller gives back when it is empty.
  Result<std::unique_ptr<CgroupFolder>> take(std::uint64_t memory, std::uint64_t processes);
  void give_back(std::unique_ptr<CgroupFolder> folder);
  static void kill(const CgroupFolder& folder);
  static bool is_empty(const CgroupFolder& folder);

 private:
  explicit CgroupPool(std::string base) : base_(std::move(base)) {}
  std::string base_;
  std::uint64_t made_ = 0;
  std::vector<std::unique_ptr<CgroupFolder>> idle_;
};

}  // namespace fivefold::process
