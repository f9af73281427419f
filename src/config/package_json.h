#pragma once
// What a package.json says about how its application is started.
#include <map>
#include <optional>
#include <string>

namespace fivefold::config {

struct PackageJson {
  std::map<std::string, std::string> scripts = {};
  std::string main = {};
  bool dependencies = false;  // it needs packages that are installed beside it
};

inline constexpr std::size_t kLargestPackageJson = 1024 * 1024;

// The one in `folder`; nothing when there is none, or it is no JSON object, or larger than kLargestPackageJson.
std::optional<PackageJson> read_package_json(const std::string& folder);

// Whether the packages it needs are there: node_modules in `folder` or above it, or Plug'n'Play's file.
bool has_packages(const std::string& folder);

}  // namespace fivefold::config
