#pragma once
// How one instance of an application is started, as a value: decided from the configuration alone.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "process/spawn_plan.h"

namespace fivefold::models::app {

// What one instance has of its own.
struct InstancePlace {
  std::uint32_t id = 0;
  std::string folder;      // RUNTIME/<program>/<id>
  std::uint16_t port = 0;  // free on 127.0.0.1 a moment ago
  std::string socket() const { return folder + "/socket"; }
  std::string notify_socket() const { return folder + "/notify"; }
  std::string ready_file() const { return folder + "/ready"; }
  std::string temporary_folder() const { return folder + "/tmp"; }
};

// What the machine and the server tell.
struct LaunchSurroundings {
  std::string workers;    // folder of our own helpers: node/preload.cjs, java/launcher.jar
  std::string home;       // of the user the program runs as
  std::string user_name;  // likewise
};

struct LaunchPlan {
  process::SpawnPlan spawn;    // without descriptors
  std::string command_line;    // for people
  bool may_use_socket = true;  // where the instance may answer: its Unix socket ...
  bool may_use_port = true;    // ... or its port; with both, whichever accepts first
  std::string root;            // its folder, symbolic links resolved by the caller
};

// `root` is the program's folder with symbolic links resolved: an instance goes on in the release it was started in.
LaunchPlan plan_launch(const config::Program& program, const std::string& root, const InstancePlace& place,
                       const LaunchSurroundings& surroundings);

// A text that differs when anything differs that an instance is made of. `folder` is RUNTIME/<program>: another one
// when the program's user or the server's group is another.
std::string fingerprint_of(const config::Program& program, const std::string& root, const std::string& folder);

}  // namespace fivefold::models::app
