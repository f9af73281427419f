#pragma once
// One [program.NAME] with model = "app", as its requests see it: settings that never change, and what they share.
#include <memory>
#include <string>

#include "config/config.h"
#include "gateway/cgi_environment.h"
#include "models/app/error_lines.h"
#include "process/pool.h"
#include "process/pool_status.h"

namespace fivefold::models::app {

// Held by the handler and by every response that is under way: a reload lets go of the handler while requests go on.
struct AppProgram {
  config::Program settings;
  std::string server_name;              // Host of a request that names none
  std::string temporary_folder;         // for request bodies that are buffered
  gateway::CgiEnvironment environment;  // of the protocols that speak in CGI's variables
  std::shared_ptr<process::Pool> pool;
  std::shared_ptr<process::PoolStatus> status;
  std::unique_ptr<ErrorLines> error_lines;
};

}  // namespace fivefold::models::app
