#pragma once
// The spawning helper: a small single-threaded process of the keeper's that starts, watches, ends and reaps the
// programs' processes.
#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/unique_fd.h"
#include "process/spawn_plan.h"

namespace fivefold::process {

// What a helper allows kept processes (SpawnPlan::keep).
struct SpawnerLimits {
  std::size_t kept = 4096;                            // at a time; a start beyond fails
  std::chrono::milliseconds unowned = kUnownedLimit;  // without an owner; then they are ended
  std::chrono::milliseconds unowned_grace{10'000};    // from TERM to KILL for these
};

// Runs until the keeper's end of `keeper_socket` (SOCK_SEQPACKET) is closed; then kills every process it started and
// all their descendants, and returns. Messages from the keeper: a new identity table; a client socket (descriptor
// passed) to serve. When a client's end closes, the processes that it started are ended at once; those that are to be
// kept wait for one that adopts them. For a process forked
// for this alone, with one thread: it closes every descriptor but standard error and the socket, blocks all signals and
// becomes the reaper of all its descendants. The caller ends the process (_exit) with what this returns.
int run_spawner(UniqueFd keeper_socket, const SpawnerLimits& limits = {});

// The keeper's side of `keeper_socket`. Programs are named by their index in the table sent last.
Result<void> send_identities(int helper_socket, std::span<const Identity> identities);
// The helper serves its own copy of `client_socket`; the caller closes its own, or the helper never learns that the
// client is gone.
Result<void> send_client(int helper_socket, int client_socket);
// The text of a line for the keeper's log, when `message` from the helper is one.
std::optional<std::string_view> parse_notice(std::string_view message);

}  // namespace fivefold::process
