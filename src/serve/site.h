#pragma once
// One immutable picture of what is served: routes with their handlers, settings, error pages. A reload makes a new one;
// each request keeps the one it began with.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "exchange/exchange.h"
#include "exchange/program_status.h"
#include "serve/router.h"

namespace fivefold::serve {

// What the wiring (app/) makes for the site: handlers by the names the configuration uses.
struct Handlers {
  // For [program.NAME]: in the order of config.programs.
  std::vector<std::shared_ptr<exchange::Handler>> programs;
  std::vector<std::shared_ptr<exchange::StatusSource>> program_status;
  // For each route in the order of config.routes: the files handler where action is files, the metrics handler where it
  // is metrics; null else.
  std::vector<std::shared_ptr<exchange::Handler>> routes;
  // For each route: the filters around its handler, outermost first (compression; response headers are the site's own).
  std::vector<std::vector<std::shared_ptr<exchange::Filter>>> filters;
};

class Site {
 public:
  Site(std::shared_ptr<const config::Config> config, Handlers handlers);
  const config::Config& config() const { return *config_; }
  const Router& router() const { return router_; }
  // The handler of a route with its filters around it; never null.
  exchange::Handler& handler(std::size_t route) const { return *entries_[route].outermost; }
  // Whether a path with encoded slashes may go to it: an application gets the target as the client wrote it, and
  // nothing here opens a file for it (no script is looked for by the path).
  bool takes_encoded_slashes(std::size_t route) const { return entries_[route].takes_encoded_slashes; }
  const config::Route& route(std::size_t index) const { return config_->routes[index]; }
  std::vector<exchange::ProgramStatus> program_status() const;
  // The operator's own page for a status, read at start; empty when there is none.
  std::string_view error_page(int status) const;
  bool trusts(std::string_view address) const;  // [server] trusted

 private:
  struct Entry {
    std::vector<std::shared_ptr<exchange::Handler>> owned;  // the wrapped chain
    exchange::Handler* outermost = nullptr;
    bool takes_encoded_slashes = false;
  };
  std::shared_ptr<const config::Config> config_;
  Handlers handlers_;
  Router router_;
  std::vector<Entry> entries_;
  std::vector<std::pair<int, std::string>> error_pages_;
  struct TrustedRange;
  std::shared_ptr<const std::vector<TrustedRange>> trusted_;
};

}  // namespace fivefold::serve
