#pragma once
// The keeper's own children: this same executable, started again with an internal word, so that it is small, clean and
// the same version.
#include <sys/types.h>

#include <string>

#include "base/error.h"
#include "base/unique_fd.h"

namespace fivefold::app {

// First arguments that main() takes for itself.
inline constexpr const char* kServerWord = "--internal-server";
inline constexpr const char* kSpawnerWord = "--internal-spawner";
// Where such a process finds the socket to its keeper.
inline constexpr int kKeeperSocket = 3;

struct OwnChild {
  pid_t pid = -1;
  UniqueFd socket;  // our end of a SOCK_SEQPACKET pair
};

// Starts this executable with `word`. Signal mask cleared, standard input from /dev/null, nothing else inherited but
// output and error.
Result<OwnChild> start_self(const char* word);

// Two connected SOCK_SEQPACKET sockets, close-on-exec.
Result<std::pair<UniqueFd, UniqueFd>> socket_pair();

// In such a process, at its start: signals that a terminal or a service manager sends to everybody are the keeper's
// alone to act on. They are caught and dropped, not ignored, so that programs started from here have them at their
// defaults.
void leave_signals_to_keeper();

}  // namespace fivefold::app
