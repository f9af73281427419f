#pragma once
// One [program.NAME] with model = "module", as its requests see it: settings that never change, and what they share.
#include <memory>
#include <string>
#include <vector>

#include "base/line_file.h"
#include "config/config.h"
#include "exchange/exchange.h"
#include "gateway/cgi_environment.h"
#include "models/module/script_selection.h"
#include "process/pool.h"
#include "process/pool_status.h"

namespace fivefold::models::module {

// Held by the handler and by every request that is under way: a reload lets go of the handler while requests go on.
class WorkerLine;

struct ModuleProgram {
  config::Program settings;
  std::string temporary_folder;  // for request bodies that are buffered
  gateway::CgiEnvironment environment;
  ScriptSelection scripts;
  std::shared_ptr<exchange::Handler> files;  // of what lies beside the scripts; null: nothing is sent
  std::shared_ptr<process::Pool> pool;
  std::shared_ptr<process::PoolStatus> status;
  std::vector<std::shared_ptr<WorkerLine>> lines;  // one for each event loop, by its index
  LineFile& log;                                   // outlives it
};

}  // namespace fivefold::models::module
