#pragma once
// The module model: every [program.NAME] with model = "module" of the server process, across its reloads.
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/line_file.h"
#include "base/log.h"
#include "config/config.h"
#include "exchange/exchange.h"
#include "exchange/program_status.h"
#include "models/module/module_launcher.h"
#include "net/blocking.h"
#include "process/pool.h"

namespace fivefold::models::module {

struct ModuleModel {
  std::shared_ptr<exchange::Handler> handler;
  std::shared_ptr<exchange::StatusSource> status;
};

// Where the executables of the languages are; empty for one that is not installed.
using WorkerExecutables = std::function<std::string(config::Language)>;

// Belongs to the home loop; used from its top. Pools, zygotes and workers live here: a reload that leaves a program as
// it was leaves its workers alone, one that changes it replaces them one by one.
class Modules {
 public:
  // `log` outlives this.
  Modules(ModuleSurroundings surroundings, net::BlockingPool& blocking, Log& log, WorkerExecutables executables);
  ~Modules();

  // The handler of one program as it is configured now. `identity` is its index for the spawning helpers; `files` sends
  // what lies beside the scripts, and may be null.
  Result<ModuleModel> configure(const config::Program& program, const config::Server& server, std::uint32_t identity,
                                std::shared_ptr<exchange::Handler> files, std::string document_root,
                                LineFile& program_log);
  // After a reload: programs that `config` does not have any more are ended once their requests have left.
  void retire_all_but(const config::Config& config);

  bool has(const std::string& name) const { return programs_.contains(name); }
  // Replaces the workers of one program, and its zygote.
  void restart(const std::string& name, process::Pool::Done done);

  // Ends every worker, requests under way until `deadline`; then `done`.
  void shutdown(net::TimePoint deadline, std::function<void()> done);
  // A successor has workers of its own: nothing is started here any more.
  void hand_over();

 private:
  struct Running;
  void changed(Running& program, const std::string& what, const std::string& root);
  void launch_by(Running& program);
  void zygote_died(const std::string& name, const std::string& how);

  ModuleSurroundings surroundings_;
  net::BlockingPool& blocking_;
  Log& log_;
  WorkerExecutables executables_;
  std::map<std::string, std::unique_ptr<Running>> programs_;
  std::size_t ending_ = 0;
};

}  // namespace fivefold::models::module
