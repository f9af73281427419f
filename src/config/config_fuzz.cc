// Any bytes are either a configuration or faults that can be told, and what is a configuration keeps what the readers
// promise.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "config/load.h"
#include "config/path_pattern.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fivefold::config;
  const auto loaded = parse(std::string_view(reinterpret_cast<const char*>(data), size), "fuzz.toml", "/fuzz");
  bool failed = false;
  for (const auto& fault : loaded.faults) {
    failed = failed || fault.severity == Fault::Severity::error;
    const auto line = to_string(fault);
    if (line.empty() || line.find('\n') != std::string::npos) std::abort();
  }
  if (failed == loaded.config.has_value()) std::abort();
  if (!loaded.config) return 0;
  for (const auto& route : loaded.config->routes) {
    if (!check_path_pattern(route.path).message.empty()) std::abort();
    if (route.action == Action::files && !route.files.root.starts_with('/')) std::abort();
  }
  for (const auto& program : loaded.config->programs) {
    const auto& app = program.app;
    if (program.model == Model::cgi && program.cgi.root.empty() == program.cgi.script.empty()) std::abort();
    if (program.model != Model::app) continue;
    if (!app.command.empty() + !app.servlet.empty() + !app.address.empty() != 1) std::abort();
    if (app.max_instances < 1 || app.max_instances < app.min_instances) std::abort();
  }
  return 0;
}
