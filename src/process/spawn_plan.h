#pragma once
// What a process shall be, as a value. Deciding it needs no privilege and no system call; process/spawner.h acts on it.
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fivefold::process {

// Strings back to back, each with its NUL: the form in which they cross to the spawning helper and become argv and
// envp.
class StringBlock {
 public:
  void add(std::string_view text) {
    bytes_.append(text);
    bytes_.push_back('\0');
    ++count_;
  }
  // "NAME=value" in one step.
  void add(std::string_view name, std::string_view value) {
    bytes_.append(name);
    bytes_.push_back('=');
    bytes_.append(value);
    bytes_.push_back('\0');
    ++count_;
  }
  std::string_view bytes() const { return bytes_; }
  std::uint32_t count() const { return count_; }
  void reserve(std::size_t bytes) { bytes_.reserve(bytes); }

 private:
  std::string bytes_;
  std::uint32_t count_ = 0;
};

// A kept process (SpawnPlan::keep) that no server has adopted for so long is ended.
inline constexpr std::chrono::seconds kUnownedLimit{60};

struct SpawnPlan {
  std::uint32_t program =
      0;  // index into the keeper's identity table: user, group, limits come from there, never from the server
  std::string executable;   // absolute path
  std::string directory;    // absolute; the new process's working directory
  StringBlock arguments;    // argv
  StringBlock environment;  // envp, whole: nothing is inherited
  // Descriptors of the caller, which keeps them; -1 is /dev/null.
  int stdin_fd = -1;
  int stdout_fd = -1;
  int stderr_fd = -1;
  // What the new process finds from descriptor 3 on, in this order; the caller keeps its own. At most kMostExtra.
  static constexpr std::size_t kMostExtra = 8;
  std::vector<int> extra_fds = {};
  // Adds LISTEN_PID=<its own pid> to the environment (sd_listen_fds(3)): only the new process knows it.
  bool listen_pid = false;
  std::uint32_t umask = 0022;

  // Not empty: the process is kept. It does not end with the connection to the server that started it: the helper holds
  // it, and hands it with this text (opaque to it, at most kMostKeep bytes) and `kept_fds` to the next server that asks
  // (Spawner::adopt).
  static constexpr std::size_t kMostKeep = 4096;
  std::string keep = {};
  // With `keep`: descriptors of the caller's that belong to the process (the reading end of its output). The helper
  // holds copies, so that the process does not find them closed while no server is there. At most kMostKept.
  static constexpr std::size_t kMostKept = 4;
  std::vector<int> kept_fds = {};
};

// Whom and how a program's processes run as; the keeper makes one per configured program and tells the spawning
// helpers.
struct Identity {
  std::string program;  // its name, for messages
  bool switch_user = false;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string user;  // for initgroups-like supplementary groups, resolved by the keeper
  // Limits; 0 is "leave as it is".
  std::uint64_t memory = 0, cpu_seconds = 0, files = 0, processes = 0, file_size = 0, core = 0;
};

}  // namespace fivefold::process
