#include "process/program_table.h"

#include <algorithm>

namespace fivefold::process {
namespace {

bool wants_cgroup(const Identity& identity) { return identity.memory != 0 || identity.processes != 0; }

}  // namespace

std::optional<std::string> ProgramTable::replace(std::vector<ResolvedIdentity> identities) {
  std::optional<std::string> line;
  const bool wanted = std::any_of(identities.begin(), identities.end(),
                                  [](const ResolvedIdentity& each) { return wants_cgroup(each.identity); });
  if (wanted && !cgroups_tried_) {
    cgroups_tried_ = true;
    if (auto pool = CgroupPool::open())
      cgroups_ = std::move(*pool);
    else
      line =
          "memory and process limits hold for each process, not for a program with its children, because cgroups "
          "cannot be used: " +
          pool.error().message;
  }
  programs_.clear();
  for (ResolvedIdentity& each : identities) {
    Program program;
    program.in_cgroup = cgroups_ && wants_cgroup(each.identity);
    program.limits = resource_limits(each.identity, program.in_cgroup);
    program.resolved = std::move(each);
    programs_.push_back(std::move(program));
  }
  return line;
}

const Program* ProgramTable::find(std::uint32_t number) const {
  return number < programs_.size() ? &programs_[number] : nullptr;
}

Result<std::unique_ptr<CgroupFolder>> ProgramTable::take_cgroup(const Program& program) {
  return cgroups_->take(program.resolved.identity.memory, program.resolved.identity.processes);
}

void ProgramTable::give_back(std::unique_ptr<CgroupFolder> folder) {
  if (folder) cgroups_->give_back(std::move(folder));
}

}  // namespace fivefold::process
