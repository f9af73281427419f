#pragma once
// From a configuration to the handlers that serve it: the one place that knows every model.
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "app/server_logs.h"
#include "base/error.h"
#include "config/config.h"
#include "control/server_view.h"
#include "models/app/applications.h"
#include "models/module/modules.h"
#include "serve/site.h"

namespace fivefold::app {

// What handlers are made of besides the configuration; outlives them.
struct WiringContext {
  ServerLogs& logs;
  const control::ServerView& view;
  unsigned loops;
  models::app::Applications& applications;
  models::module::Modules& modules;
};

// What the keeper has decided for each program, by its name.
struct ProgramPlaces {
  std::map<std::string, std::uint32_t> identities;  // index in the spawning helpers' table
  std::map<std::string, std::string> runtime;       // folder for the sockets of its instances
};

// Errors: what only starting can tell of a program, in words. Programs of models that keep instances go over to the new
// configuration here: call it when that is to be served.
Result<std::shared_ptr<const serve::Site>> make_site(std::shared_ptr<const config::Config> config,
                                                     const ProgramPlaces& places, WiringContext context);

// DOCUMENT_ROOT of a program: the folder of the first files route, or the program's own.
std::string document_root(const config::Config& config, const config::Program& program);

}  // namespace fivefold::app
