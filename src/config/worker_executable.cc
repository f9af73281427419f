#include "config/worker_executable.h"

#include <unistd.h>

#include <filesystem>

#include "config/module_section.h"

namespace fivefold::config {

std::string worker_executable(Language language) {
  namespace fs = std::filesystem;
  const std::string name = "fivefold-" + std::string(name_of(language));
  std::error_code error;
  const auto folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const auto& candidate : {folder / "workers" / std::string(name_of(language)) / name,
                                folder / "../libexec/fivefold" / name, folder / "../lib/fivefold" / name,
                                fs::path("/usr/libexec/fivefold") / name, fs::path("/usr/lib/fivefold") / name})
    if (::access(candidate.c_str(), X_OK) == 0) return fs::weakly_canonical(candidate, error).string();
  return {};
}

std::string worker_mend(Language language) {
  const std::string package = "fivefold-" + std::string(name_of(language));
  switch (language) {
    case Language::php:
      return "install the package " + package + ", or build the server with libphp8.2-embed and php8.2-dev";
    case Language::perl:
      return "install the package " + package + ", or build the server with libperl-dev";
    case Language::python:
      return "install the package " + package + ", or build the server with libpython3-dev";
  }
  return {};
}

}  // namespace fivefold::config
