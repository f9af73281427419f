#pragma once
// The keeper: the process that the user starts. It holds the sockets and the right to create processes, and reads
// nothing from the network.
//
// It starts the spawning helpers and the server, watches them, and turns signals and control commands into reload,
// restart and stop.
#include <memory>
#include <string>

#include "app/keeper/notify.h"
#include "app/source.h"

namespace fivefold::app {

struct KeeperOptions {
  ConfigSource source;
  ReadConfig first;          // what source.read() gave; free of errors
  bool development = false;  // `serve`
  Notifier notifier = {};
  std::vector<UniqueFd> activated = {};
};

// Until SIGTERM, SIGINT or the stop command; the process's exit status.
int run_keeper(KeeperOptions options);

// How long to wait before the server is started again when it has died young `times` times in a row: 0, 100 ms, 200 ms,
// ... up to 5 s.
std::chrono::milliseconds restart_delay(unsigned times);

// A status of waitpid(2) in words: "exited with status 3", "was ended by signal 9 (Killed)".
std::string how_it_ended(int wait_status);

}  // namespace fivefold::app
