// `fivefold check`: every fault at once.
#include <sys/stat.h>

#include <iostream>

#include "app/commands.h"
#include "app/source.h"

namespace fivefold::app {
namespace {

std::string count(std::size_t number, const char* word) {
  return std::to_string(number) + " " + word + (number == 1 ? "" : "s");
}

}  // namespace

int check_command(const std::string& path) {
  struct stat status{};
  const bool folder = ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
  const auto source = folder ? ConfigSource::folder(path, {}) : ConfigSource::file(path);
  auto read = source.read();
  std::size_t errors = 0, warnings = 0;
  for (auto& fault : read.loaded.faults) {
    ++(fault.severity == config::Fault::Severity::error ? errors : warnings);
    if (fault.position.file == read.file)
      fault.position.file = read.folder ? path : folder ? path + "/" + kConfigName : path;  // as it was given
    std::cout << config::to_string(fault) << '\n';
  }
  const auto name = folder && !read.folder ? path + "/" + kConfigName : path;
  if (errors > 0) {
    std::cout << name << ": " << count(errors, "error") << (warnings ? ", " + count(warnings, "warning") : "") << '\n';
    return 1;
  }
  std::cout << name << ": ok, " << count(read.loaded.config->routes.size(), "route") << ", "
            << count(read.loaded.config->programs.size(), "program")
            << (warnings ? ", " + count(warnings, "warning") : "") << '\n';
  return 0;
}

}  // namespace fivefold::app
