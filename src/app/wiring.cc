#include "app/wiring.h"

#include "control/metrics.h"
#include "models/cgi/cgi_model.h"
#include "models/files/files_model.h"
#include "models/module/script_selection.h"
#include "serve/compression_filter.h"

namespace fivefold::app {

namespace {

// What sends the files beside a program's scripts; null where it sends none.
std::shared_ptr<exchange::Handler> files_beside(const config::Program& program,
                                                std::shared_ptr<models::files::FileCaches> caches, Log& log) {
  const auto& module = program.module;
  if (module.language != config::Language::php || !module.files) return nullptr;
  config::Files files{.root = module.root, .listing = module.listing, .symlinks = module.symlinks};
  files.index.clear();
  for (const auto& name : module.index)
    if (!models::module::is_source(name)) files.index.push_back(name);
  return models::files::make_files_handler(files, std::move(caches), log);
}

}  // namespace

std::string document_root(const config::Config& config, const config::Program& program) {
  // A site of its own: other folders are none of its business.
  if (program.model == config::Model::module && program.module.language == config::Language::php)
    return program.module.root;
  for (const auto& route : config.routes)
    if (route.action == config::Action::files) return route.files.root;
  if (program.model == config::Model::app) return program.app.root;
  if (program.model == config::Model::module) return program.module.root;
  if (!program.cgi.root.empty()) return program.cgi.root;
  return program.cgi.script.substr(0, program.cgi.script.rfind('/'));
}

Result<std::shared_ptr<const serve::Site>> make_site(std::shared_ptr<const config::Config> config,
                                                     const ProgramPlaces& places, WiringContext context) {
  serve::Handlers handlers;
  auto& log = context.logs.log();
  const auto caches = models::files::make_file_caches(config->server.open_file_cache, context.loops);
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
    if (program.model == config::Model::module) {
      auto model = context.modules.configure(program, config->server, identity, files_beside(program, caches, log),
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
