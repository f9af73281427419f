#pragma once
// The app model: every [program.NAME] with model = "app" of the server process, across its reloads.
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/line_file.h"
#include "base/log.h"
#include "config/config.h"
#include "exchange/exchange.h"
#include "exchange/program_status.h"
#include "models/app/app_launcher.h"
#include "process/folder_watch.h"
#include "process/pool.h"

namespace fivefold::models::app {

struct AppModel {
  std::shared_ptr<exchange::Handler> handler;
  std::shared_ptr<exchange::StatusSource> status;
};

// Belongs to the home loop; used from its top. Pools and their instances live here: a reload that leaves a program as
// it was leaves its instances alone, one that changes it replaces them one by one.
class Applications {
 public:
  // How long instances of an earlier server are waited for before new ones are started.
  static constexpr std::chrono::milliseconds kAdoptionWait{2000};

  // `expects_instances`: an earlier server process may have left some. `log` outlives this.
  Applications(AppSurroundings surroundings, net::BlockingPool& blocking, Log& log, bool expects_instances);
  ~Applications();

  // The handler of one program as it is configured now. `identity` is its index for the spawning helpers, `folder`
  // where its instances have their sockets, `document_root` what CGI-like protocols are told. Errors: what only
  // starting can tell (a TLS file that cannot be read).
  Result<AppModel> configure(const config::Program& program, const config::Server& server, std::uint32_t identity,
                             std::string folder, std::string document_root, LineFile& program_log);
  // After a reload: programs that `config` does not have any more are ended once their requests have left.
  void retire_all_but(const config::Config& config);

  // Replaces the instances of one program; Code::not_found when there is no such program.
  void restart(const std::string& name, process::Pool::Done done);

  // Ends every instance, requests under way until `deadline`; then `done`.
  void shutdown(net::TimePoint deadline, std::function<void()> done);
  // A successor takes over: instances go on for it.
  void disown_all();

 private:
  struct Application;
  void adopted(process::KeptProcess process, process::Spawner& spawner);
  net::Task<void> take_over(std::shared_ptr<AppLauncher> launcher, KeptInstance kept, process::KeptProcess process,
                            process::Spawner& spawner, std::shared_ptr<process::Pool> pool);
  void changed(Application& application, const process::FolderWatch::Change& change);

  AppSurroundings surroundings_;
  net::BlockingPool& blocking_;
  Log& log_;
  net::TimePoint adoption_ends_;
  std::map<std::string, std::unique_ptr<Application>> applications_;
  net::TaskGroup tasks_;
  std::size_t ending_ = 0;
  bool handed_over_ = false;
};

}  // namespace fivefold::models::app
