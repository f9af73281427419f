#pragma once
// Whom a process has made: for the reaper of everything that the programs left behind.
#include <sys/types.h>

#include <chrono>
#include <vector>

namespace fivefold::process {

// The direct children of a single-threaded process, zombies included. Empty when it cannot be known.
std::vector<pid_t> children_of(pid_t pid);

// Kills and reaps children of this process until there are none, which reaches all descendants because this process is
// their subreaper (PR_SET_CHILD_SUBREAPER) and inherits the children of those killed. False when some were left at the
// deadline.
bool kill_descendants(std::chrono::milliseconds deadline);

}  // namespace fivefold::process
