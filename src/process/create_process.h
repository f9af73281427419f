#pragma once
// One process out of nothing: clone3 on a stack of its own, everything it needs to be, execve.
#include <sys/resource.h>
#include <sys/types.h>

#include <span>
#include <vector>

#include "base/unique_fd.h"
#include "process/spawn_protocol.h"

namespace fivefold::process {

struct ResourceLimit {
  int resource = 0;
  rlimit value{};
};

// What the new process reads and, of the results, writes: it runs in this process's memory until it executes the
// program.
struct Launch {
  const char* executable = nullptr;
  const char* directory = nullptr;
  char* const* argv = nullptr;
  char* const* envp = nullptr;
  int streams[3] = {-1, -1, -1};          // all at 3 or above
  int extra[SpawnPlan::kMostExtra] = {};  // become 3, 4, ...; all at 3 or above; the new process changes this copy
  std::size_t extra_count = 0;
  unsigned umask = 0022;
  // Not null: where the new process writes its own pid, decimal and with a NUL; room for kPidDigits.
  static constexpr std::size_t kPidDigits = 12;
  char* own_pid = nullptr;
  bool switch_user = false;
  uid_t uid = 0;
  gid_t gid = 0;
  const gid_t* groups = nullptr;
  std::size_t group_count = 0;
  const ResourceLimit* limits = nullptr;
  std::size_t limit_count = 0;
  int cgroup = -1;              // a cgroup v2 folder to be born in
  pid_t parent = 0;             // the helper's pid
  bool reset_handlers = false;  // set by create_process
  // Results.
  SpawnStep failed_step = SpawnStep::none;
  int error = 0;
};

// Makes processes; keeps the stack that they start on.
class ProcessCreator {
 public:
  ProcessCreator();
  ~ProcessCreator();
  ProcessCreator(const ProcessCreator&) = delete;
  ProcessCreator& operator=(const ProcessCreator&) = delete;

  // The pid, with its pidfd in `pidfd`; or -1, with `launch.failed_step` and `launch.error` set and nothing left
  // behind. Returns when the program has been executed or has failed to. One thread, all signals blocked.
  pid_t create(Launch& launch, UniqueFd& pidfd);
  // Uses clone() in place of clone3(), as where a system-call filter forbids the latter.
  void avoid_clone3() { use_clone3_ = false; }

 private:
  static constexpr std::size_t kStackSize = 64 * 1024;
  static constexpr std::size_t kGuardSize = 64 * 1024;  // at least a page on every machine
  char* stack_ = nullptr;
  bool use_clone3_ = true;
};

// setrlimit calls for an identity's limits. Memory is RLIMIT_DATA, which unlike RLIMIT_AS does not count the address
// space that runtimes such as V8 and the JVM reserve without using it. With `in_cgroup`, memory and process count are
// left to the cgroup.
std::vector<ResourceLimit> resource_limits(const Identity& identity, bool in_cgroup);

}  // namespace fivefold::process
