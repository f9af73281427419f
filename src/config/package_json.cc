#include "config/package_json.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace fivefold::config {

std::optional<PackageJson> read_package_json(const std::string& folder) {
  std::error_code why;
  const auto path = folder + "/package.json";
  if (!std::filesystem::is_regular_file(path, why)) return std::nullopt;
  const auto size = std::filesystem::file_size(path, why);
  if (why || size > kLargestPackageJson) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  std::string text(size, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  PackageJson package;
  if (const auto scripts = json.find("scripts"); scripts != json.end() && scripts->is_object())
    for (const auto& [name, script] : scripts->items())
      if (script.is_string()) package.scripts.emplace(name, script.get<std::string>());
  if (const auto main = json.find("main"); main != json.end() && main->is_string()) package.main = *main;
  const auto dependencies = json.find("dependencies");
  package.dependencies = dependencies != json.end() && dependencies->is_object() && !dependencies->empty();
  return package;
}

bool has_packages(const std::string& folder) {
  std::error_code why;
  for (auto above = std::filesystem::path(folder);; above = above.parent_path()) {
    for (const auto* name : {"node_modules", ".pnp.cjs", ".pnp.js"})
      if (std::filesystem::exists(above / name, why)) return true;
    if (above == above.parent_path()) return false;
  }
}

}  // namespace fivefold::config
