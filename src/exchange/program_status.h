#pragma once
// What a program's model tells of itself, for `status`, `top` and metrics.
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace fivefold::exchange {

struct RunningProcess {
  pid_t pid = 0;     // 0: somebody else's process (an `address`)
  std::string what;  // script or instance
  std::chrono::milliseconds age{0};
  std::string request_id;  // the request it works on; empty when idle, or when it works on several
  // Of an instance of a pool; empty and 0 for a process of one request.
  std::string state;                         // "starting", "ready", "busy", "draining", "stopping", "failed"
  std::string reason;                        // why it is in that state, in words
  std::uint64_t requests = 0;                // answered since it started
  std::size_t active = 0;                    // being answered
  std::chrono::milliseconds request_age{0};  // of the oldest that is being answered
};

struct ProgramStatus {
  std::string name;
  std::string model;
  std::uint64_t requests = 0;  // handled since the server started
  std::uint64_t failures = 0;  // of those, 5xx of the program's making
  std::size_t running = 0;
  std::size_t waiting = 0;  // in the queue
  std::vector<RunningProcess> processes;
  // Of a pool of instances; 0 elsewhere. Since the server started.
  std::uint64_t starts = 0, failed_starts = 0, crashes = 0, queue_full = 0, queue_timeouts = 0;
  std::string last_failure;          // a sentence; empty when there was none
  std::int64_t last_failure_at = 0;  // unix seconds
};

// Programs implement this; any thread may ask.
class StatusSource {
 public:
  virtual ~StatusSource() = default;
  virtual ProgramStatus status() const = 0;
};

}  // namespace fivefold::exchange
