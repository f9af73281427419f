#pragma once
// One [program.NAME] with model = "module", as its requests see it: settings that never change, and what they share.
#include <memory>
#include <string>

#include "base/line_file.h"
#include "config/config.h"
#include "exchange/exchange.h"
#include "gateway/cgi_environment.h"
#include "models/module/script_selection.h"
#include "process/pool.h"
#include "process/pool_status.h"

namespace fivefold::models::module {

// Held by the handler and by every request that is under way: a reload lets go of the handler while requests go on.
struct ModuleProgram {
  config::Program settings;
  std::string temporary_folder;  // for request bodies that are buffered
  gateway::CgiEnvironment environment;
  ScriptSelection scripts;
  std::shared_ptr<exchange::Handler> files;  // of what lies beside the scripts; null: nothing is sent
  std::shared_ptr<process::Pool> pool;
  std::shared_ptr<process::PoolStatus> status;
  LineFile& log;  // outlives it
};

}  // namespace fivefold::models::module
