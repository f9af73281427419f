#pragma once
// How much memory an instance's process uses.
#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace fivefold::process {

// Resident bytes of one process, without its children, as /proc/PID/statm counts them: pages it shares with others
// are included. Nothing when there is no such process.
std::optional<std::uint64_t> resident_memory(pid_t pid);

}  // namespace fivefold::process
