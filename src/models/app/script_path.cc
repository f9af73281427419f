#include "models/app/script_path.h"

namespace fivefold::models::app {
namespace {

bool ends_with_extension(std::string_view segment, const config::App& app) {
  for (const auto& extension : app.extensions)
    if (segment.size() > extension.size() && segment.ends_with(extension)) return true;
  return false;
}

// "/blog/" without its last slash: where scripts are counted from.
std::string_view base_of(std::string_view prefix) {
  if (prefix.ends_with('/')) prefix.remove_suffix(1);
  return prefix;
}

}  // namespace

std::optional<ScriptPath> split_script_path(const config::App& app, std::string_view prefix, std::string_view rest) {
  const std::string base(base_of(prefix));
  std::string below(rest);
  if (!below.starts_with('/') && (prefix.ends_with('/') || !below.empty())) below.insert(0, "/");
  if (app.extensions.empty() && app.script.empty()) return ScriptPath{base, below, {}};

  for (std::size_t start = 0; start < below.size();) {
    const auto end = std::min(below.find('/', start + 1), below.size());
    if (ends_with_extension(std::string_view(below).substr(start + 1, end - start - 1), app))
      return ScriptPath{base + below.substr(0, end), below.substr(end), app.root + below.substr(0, end)};
    start = end;
  }
  if (below.ends_with('/') && !app.index.empty())
    return ScriptPath{base + below + app.index.front(), {}, app.root + below + app.index.front()};
  if (app.script.empty()) return std::nullopt;
  const bool beneath_root = app.script.starts_with(app.root + "/");
  const auto name = beneath_root ? app.script.substr(app.root.size()) : app.script.substr(app.script.rfind('/'));
  return ScriptPath{base + name, below, app.script};
}

}  // namespace fivefold::models::app
