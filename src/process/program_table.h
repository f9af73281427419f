#pragma once
// The table of programs that the keeper gave the spawning helper: as whom each runs, and within which limits.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "process/cgroup_pool.h"
#include "process/create_process.h"
#include "process/spawn_protocol.h"

namespace fivefold::process {

struct Program {
  ResolvedIdentity resolved;
  std::vector<ResourceLimit> limits;
  bool in_cgroup = false;  // its processes are born in a cgroup folder each
};

class ProgramTable {
 public:
  // A new table in place of the old one. Cgroups are looked for once, when the first program needs them. A line for
  // the keeper's log when they cannot be used; the limits then hold for each process.
  std::optional<std::string> replace(std::vector<ResolvedIdentity> identities);
  // By its index in the table sent last; null when there is none. Until the next replace().
  const Program* find(std::uint32_t number) const;

  // A folder for one process of a program that has `in_cgroup`. It comes back when it is empty, whatever has become of
  // the table meanwhile.
  Result<std::unique_ptr<CgroupFolder>> take_cgroup(const Program& program);
  // Null is nothing to give back.
  void give_back(std::unique_ptr<CgroupFolder> folder);

 private:
  std::unique_ptr<CgroupPool> cgroups_;
  bool cgroups_tried_ = false;
  std::vector<Program> programs_;
};

}  // namespace fivefold::process
