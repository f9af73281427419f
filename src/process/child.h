#pragma once
// A process started by a spawning helper, seen from the server.
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "net/loop.h"
#include "process/spawn_plan.h"

namespace fivefold::process {

// How a process ended. One of exited/signal is set.
struct ExitStatus {
  std::optional<int> code;
  std::optional<int> signal;
  bool core_dumped = false;
  std::chrono::microseconds cpu{0};  // user and system time, reaped children included
  std::uint64_t peak_memory = 0;     // bytes
  bool success() const { return code == 0; }
};

// "exited with status 3", "was ended by signal 11 (segmentation fault, core dumped)", "could not be found by its
// interpreter (status 127)"
std::string in_words(const ExitStatus& status);

// The owner's hold on a running process. Letting go of it ends the process and everything in its process group (and
// cgroup, where there is one): TERM, then KILL after `grace`. If the process has already exited, what is left of its
// group is ended the same way. Belongs to the loop that started it.
class Child {
 public:
  virtual ~Child() = default;
  virtual pid_t pid() const = 0;
  // Set once; nothing while it runs.
  virtual const std::optional<ExitStatus>& exit_status() const = 0;
  // Set when exit_status() is.
  virtual net::Event& exited() = 0;
  virtual void signal(int number) = 0;                          // to the whole group
  virtual void set_grace(std::chrono::milliseconds grace) = 0;  // default 3 s
};

// A kept process (SpawnPlan::keep) whose server has gone or has let it go.
struct KeptProcess {
  std::string keep;
  std::chrono::milliseconds age{0};  // since it was started
  std::unique_ptr<Child> child;      // may have exited already
  std::vector<UniqueFd> fds;         // copies of SpawnPlan::kept_fds; fewer when this process is out of descriptors
};

// Starts processes; one per loop. The keeper's spawning helper is behind it, a fake one in tests.
class Spawner {
 public:
  virtual ~Spawner() = default;
  // Errors: Code::program_unavailable (the helper is gone or the system has no room: EAGAIN, ENOMEM),
  // Code::program_failed with the step that failed in words ("cannot execute /x/y: Permission denied"). The plan's
  // descriptors are no longer needed when this returns.
  virtual net::Task<Result<std::unique_ptr<Child>>> spawn(SpawnPlan plan) = 0;

  // From here on kept processes that nobody owns come to `adopted`, at the top of the loop: those there are, and later
  // those that another server disowns. The latest caller gets them. What nobody has adopted for kUnownedLimit is ended.
  static constexpr std::chrono::seconds kUnownedLimit = process::kUnownedLimit;
  using Adopted = std::function<void(KeptProcess)>;
  virtual void adopt(Adopted adopted) { (void)adopted; }
  // Lets a kept process go to whoever adopts, without ending it. `child` was started here or adopted here.
  virtual void disown(std::unique_ptr<Child> child) { child.reset(); }
};

}  // namespace fivefold::process
