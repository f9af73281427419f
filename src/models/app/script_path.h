#pragma once
// Which script a FastCGI application is told: the path split into SCRIPT_NAME and PATH_INFO, by bytes alone.
#include <optional>
#include <string>
#include <string_view>

#include "config/config.h"

namespace fivefold::models::app {

struct ScriptPath {
  std::string script_name;      // "/blog/index.php"
  std::string path_info;        // "/2026/may"
  std::string script_filename;  // "/srv/blog/index.php"; empty: the application is not told a script
};

// `prefix` + `rest` is the decoded path (exchange::Exchange). With `extensions`, the script ends at the first segment
// that ends with one of them, compared byte by byte (GHSA-g966-83w7-6w38: no case folding); a path that ends with '/'
// and names no script gets the first `index`; a path without a script goes to `script`, when there is one, else nothing
// is returned: 404. Without extensions and script, the application gets prefix and rest as SCRIPT_NAME and PATH_INFO.
std::optional<ScriptPath> split_script_path(const config::App& app, std::string_view prefix, std::string_view rest);

}  // namespace fivefold::models::app
