#pragma once
// Which file a request runs, and which part of its path is left for the program.
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/unique_fd.h"
#include "config/config.h"
#include "exchange/root_folder.h"
#include "net/timer.h"

namespace fivefold::models::cgi {

struct Script {
  std::string file;       // absolute path
  std::string directory;  // the folder it is in
  std::string name;  // SCRIPT_NAME: the part of the request's path that names it; empty for a script at the site's root
  std::string path_info;  // the rest; empty, or begins with '/'
};

// Walks the path below the root segment by segment until a regular file is met; the rest is PATH_INFO. Every look is an
// openat2 with RESOLVE_BENEATH: no "..", no symbolic link leads out (CVE-2021-41773 and its kind). Byte by byte, no
// case folding (CVE-2026-24895). Any thread.
class ScriptFinder {
 public:
  explicit ScriptFinder(const config::Cgi& settings);

  // `prefix` + `rest` is the normalised, decoded path, cut where the route's pattern ends. Errors: Code::not_found;
  // Code::forbidden for a folder, a file that is not executable, and what leads out of the root.
  Result<Script> find(std::string_view prefix, std::string_view rest, net::TimePoint now) const;

 private:
  enum class Kind : std::uint8_t { regular, folder, missing };
  struct Look {
    Kind kind;
    unsigned mode;
  };
  Result<Look> look(int root, const std::string& path) const;
  Result<Script> below_root(std::string_view prefix, std::string_view rest, net::TimePoint now) const;
  Result<Script> index_of(int root, std::string_view prefix, std::string folder) const;
  Result<Script> accept(std::string_view prefix, std::string path, std::string_view path_info, unsigned mode) const;

  config::Cgi settings_;
  exchange::RootFolder root_;
};

}  // namespace fivefold::models::cgi
