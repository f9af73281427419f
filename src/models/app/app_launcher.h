#pragma once
// Starts instances of one application as it is configured: folder, port, process, readiness.
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/line_file.h"
#include "config/config.h"
#include "models/app/app_instance.h"
#include "models/app/launch_plan.h"
#include "net/blocking.h"
#include "process/instance.h"

namespace fivefold::models::app {

// What instances are started with and reached through; the server process's, outlives every application.
struct AppSurroundings {
  net::Loop& home;                          // where instances are started, watched and ended
  std::vector<net::Loop*> loops;            // where requests are served, by index
  std::vector<process::Spawner*> spawners;  // of the home loop, one per spawning helper
  net::Resolver& resolver;
  std::string workers;  // folder of our own helpers: node/preload.cjs, java/launcher.jar
};

// What the server that adopts an instance has to know of it: SpawnPlan::keep.
struct KeptInstance {
  std::string program;
  std::uint32_t id = 0;
  std::string fingerprint;
  std::string folder;
  std::vector<std::string> endpoints;  // where it may answer, in the order to look
};
std::string to_text(const KeptInstance& kept);
std::optional<KeptInstance> kept_from_text(std::string_view text);

class AppLauncher final : public process::Launcher {
 public:
  static constexpr std::chrono::milliseconds kFirstLook{2};     // between looks whether it listens; grows ...
  static constexpr std::chrono::milliseconds kLongestLook{50};  // ... to this
  static constexpr std::chrono::milliseconds kLastOutput{
      200};  // how long the last words of a failed start are waited for

  // `identity` is the program's index for the spawning helpers; `folder` is RUNTIME/<program>.
  AppLauncher(AppSurroundings& surroundings, config::Program program, std::uint32_t identity, std::string root,
              std::string folder, LineFile& log, std::shared_ptr<net::TlsClient> tls);
  net::Task<Result<process::Launched>> launch(std::uint32_t id, std::shared_ptr<process::Journey> journey) override;

  // An instance that an earlier server started, from `spawner`. Code::program_unavailable when it does not accept
  // connections (it was still starting): it is ended then.
  net::Task<Result<process::Launched>> adopt(KeptInstance kept, process::KeptProcess process,
                                             process::Spawner& spawner);

 private:
  net::Task<Result<process::Launched>> reach(std::uint32_t id, std::shared_ptr<process::Journey> journey);
  net::Task<Result<upstream::Endpoint>> wait_until_ready(AppProcess& process, const LaunchPlan& plan,
                                                         InstancePlace place, int notify_socket,
                                                         std::shared_ptr<process::Journey> journey);
  net::Task<Error> failed(AppProcess& process, Error error, bool timed_out, std::shared_ptr<process::Journey> journey);
  std::shared_ptr<AppAddress> address_at(upstream::Endpoint endpoint) const;
  HealthProbe health(const upstream::Endpoint& endpoint) const;
  process::Spawner& spawner_for(std::uint32_t id) const;

  AppSurroundings& surroundings_;
  config::Program program_;
  std::uint32_t identity_;
  std::string root_;
  std::string folder_;
  LineFile& log_;
  std::shared_ptr<net::TlsClient> tls_;
  LaunchSurroundings launch_;
  std::vector<std::weak_ptr<AppAddress>> taken_;  // of each `address`: who has it
};

}  // namespace fivefold::models::app
