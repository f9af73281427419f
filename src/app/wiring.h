#pragma once
// From a configuration to the handlers that serve it: the one place that knows every model.
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "app/server_logs.h"
#include "config/config.h"
#include "control/server_view.h"
#include "serve/site.h"

namespace fivefold::app {

// What handlers are made of besides the configuration; outlives them.
struct WiringContext {
  ServerLogs& logs;
  const control::ServerView& view;
  unsigned loops;
};

// `identities`: each program's index in the spawning helpers' table.
std::shared_ptr<const serve::Site> make_site(std::shared_ptr<const config::Config> config,
                                             const std::map<std::string, std::uint32_t>& identities,
                                             WiringContext context);

// DOCUMENT_ROOT of a program: the folder of the first files route, or the program's own.
std::string document_root(const config::Config& config, const config::Program& program);

}  // namespace fivefold::app
