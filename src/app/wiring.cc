#include "app/wiring.h"

#include "control/metrics.h"
#include "models/cgi/cgi_model.h"
#include "models/files/files_model.h"
#include "serve/compression_filter.h"

namespace fivefold::app {

std::string document_root(const config::Config& config, const config::Program& program) {
  for (const auto& route : config.routes)
    if (route.action == config::Action::files) return route.files.root;
  if (program.model == config::Model::app) return program.app.root;
  if (!program.cgi.root.empty()) return program.cgi.root;
  return program.cgi.script.substr(0, program.cgi.script.rfind('/'));
}

Result<std::shared_ptr<const serve::Site>> make_site(std::shared_ptr<const config::Config> config,
                                                     const ProgramPlaces& places, WiringContext context) {
  serve::Handlers handlers;
  auto& log = context.logs.log();
  for (const auto& program : config->programs) {
    const auto identity = places.identities.at(program.name);
    auto& program_log = context.logs.program(program.name);
    if (program.model == config::Model::app) {
      auto model = context.applications.configure(program, config->server, identity, places.runtime.at(program.name),
                                                  document_root(*config, program), program_log);
      if (!model)
        return fail(Code::internal, "program " + program.name + " cannot be set up: " + model.error().message);
      handlers.programs.push_back(std::move(model->handler));
      handlers.program_status.push_back(std::move(model->status));
      continue;
    }
    auto model = models::cgi::make_cgi_model(identity, program, config->server, document_root(*config, program),
                                             program_log, log);
    handlers.programs.push_back(std::move(model.handler));
    handlers.program_status.push_back(std::move(model.status));
  }
  // A route's `compress` has the last word over [server.compression] enabled: the filter is simply not there where it
  // is off.
  auto compression_settings = config->server.compression;
  compression_settings.enabled = true;
  const auto compression = serve::make_compression_filter(compression_settings);
  const auto caches = models::files::make_file_caches(config->server.open_file_cache, context.loops);
  for (const auto& route : config->routes) {
    std::shared_ptr<exchange::Handler> handler;
    if (route.action == config::Action::files)
      handler = models::files::make_files_handler(route.files, caches, log);
    else if (route.action == config::Action::metrics)
      handler = control::make_metrics_handler(context.view);
    handlers.routes.push_back(std::move(handler));
    auto& filters = handlers.filters.emplace_back();
    if (route.compress.value_or(config->server.compression.enabled) && route.action != config::Action::redirect)
      filters.push_back(compression);
  }
  return std::make_shared<const serve::Site>(std::move(config), std::move(handlers));
}

}  // namespace fivefold::app
