#pragma once
// Starts workers of one program as it is configured: from its zygote, which is started first if need be.
#include <memory>
#include <string>
#include <vector>

#include "config/config.h"
#include "models/module/worker_process.h"
#include "models/module/zygotes.h"
#include "process/instance.h"

namespace fivefold::models::module {

// What workers are started with and reached through; the server process's, outlives every program.
struct ModuleSurroundings {
  net::Loop& home;                          // where workers are started, watched and ended
  std::vector<net::Loop*> loops;            // where requests are served, by index
  std::vector<process::Spawner*> spawners;  // of the home loop, one per spawning helper
};

// What the zygote of a program is started from. `root` with links resolved; `executable` is the worker's.
ZygotePlan plan_zygote(const config::Program& program, std::uint32_t identity, const std::string& root,
                       const std::string& executable);

class ModuleLauncher final : public process::Launcher {
 public:
  ModuleLauncher(ModuleSurroundings& surroundings, std::shared_ptr<Zygotes> zygotes, ZygotePlan plan,
                 std::size_t head_limit);
  net::Task<Result<process::Launched>> launch(std::uint32_t id, std::shared_ptr<process::Journey> journey) override;

 private:
  ModuleSurroundings& surroundings_;
  std::shared_ptr<Zygotes> zygotes_;
  ZygotePlan plan_;
  std::size_t head_limit_;
};

}  // namespace fivefold::models::module
