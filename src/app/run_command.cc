// `fivefold run` and `fivefold serve`: this process becomes the keeper.
#include <fmt/format.h>

#include <iostream>

#include "app/commands.h"
#include "app/keeper/keeper.h"
#include "app/source.h"
#include "base/text.h"

namespace fivefold::app {
namespace {

void print_found(const std::string& directory, const std::vector<config::Found>& found) {
  std::cout << "Found in " << directory << ":\n";
  std::size_t route = 0, model = 0, what = 0;
  for (const auto& entry : found) {
    route = std::max(route, entry.route.size());
    model = std::max(model, entry.model.size());
    what = std::max(what, entry.what.size());
  }
  for (const auto& entry : found) {
    std::cout << fmt::format("  {:<{}}  {:<{}}  {:<{}}  {}\n", entry.route, route, entry.model, model, entry.what, what,
                             entry.start);
    if (!entry.missing.empty())
      std::cout << fmt::format("  {:<{}}  {:<{}}  missing: {}\n", "", route, "", model, entry.missing);
  }
  if (found.empty()) std::cout << "  nothing to serve yet\n";
  std::cout << std::flush;
}

int start(ConfigSource source, bool development) {
  auto notifier = Notifier::from_environment();
  auto activated = take_activated_sockets();
  auto read = source.read();
  if (!read.loaded.config) {
    std::size_t errors = 0;
    for (const auto& fault : read.loaded.faults) {
      std::cerr << config::to_string(fault) << '\n';
      errors += fault.severity == config::Fault::Severity::error;
    }
    std::cerr << "fivefold: not started: " << errors << (errors == 1 ? " error" : " errors")
              << " in the configuration\n";
    return 1;
  }
  if (read.folder) print_found(source.name(), read.found);
  return run_keeper({.source = std::move(source),
                     .first = std::move(read),
                     .development = development,
                     .notifier = std::move(notifier),
                     .activated = std::move(activated)});
}

}  // namespace

int serve_command(const std::string& directory, const std::vector<std::string>& listen) {
  return start(ConfigSource::folder(directory, listen), true);
}

int run_command(const std::string& config) { return start(ConfigSource::file(config), false); }

}  // namespace fivefold::app
