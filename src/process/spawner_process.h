#pragma once
// The spawning helper: a small single-threaded process of the keeper's that starts, watches, ends and reaps the programs' processes.
#include "base/unique_fd.h"

namespace fivefold::process {

// Runs until the keeper's end of `keeper_socket` (SOCK_SEQPACKET) is closed; then kills every process it started and all their descendants,
// and returns. Messages from the keeper (see spawn_protocol.h): a new identity table; a client socket (descriptor passed) to serve.
// When a client's end closes, the processes that it started are ended at once.
int run_spawner(UniqueFd keeper_socket);

}  // namespace fivefold::process
