#pragma once
// What a path runs: a script with its PATH_INFO, a file, a folder. Decided by the server alone; a worker executes what
// SCRIPT_FILENAME says.
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/error.h"
#include "base/path_walk.h"
#include "base/unique_fd.h"
#include "config/config.h"
#include "exchange/root_folder.h"
#include "net/timer.h"

namespace fivefold::models::module {

struct Selection {
  enum class Kind : std::uint8_t {
    script,
    file,       // is sent, and so is the listing of a folder
    with_slash  // a folder's path without its slash: the client is sent to the one with it
  };
  Kind kind = Kind::script;
  std::string script_name;      // SCRIPT_NAME
  std::string path_info;        // empty, or begins with '/'
  std::string script_filename;  // absolute; empty for an application that is no file (PSGI, WSGI)
};

// Every look is an openat2 that does not leave the root, but by a link where `symlinks` allows it. Any thread.
class ScriptSelection {
 public:
  // How long a script that was found is not looked for again. A new one is found at once; one that has gone is the
  // worker's to miss.
  static constexpr std::chrono::milliseconds kScriptValid{1000};
  static constexpr std::size_t kMostKnown = 4096;

  explicit ScriptSelection(const config::Module& settings);
  ScriptSelection(ScriptSelection&& other) noexcept;

  // `prefix` + `rest` is the normalised, decoded path, cut where the route's pattern ends. Errors: Code::not_found;
  // Code::forbidden for what leads out of the root or lies where nothing is run.
  Result<Selection> find(std::string_view prefix, std::string_view rest, net::TimePoint now) const;

 private:
  enum class Kind : std::uint8_t { regular, folder, missing };
  struct Path;  // of one request
  Result<Selection> php(std::string_view prefix, std::string_view rest, net::TimePoint now) const;
  Result<Selection> perl(std::string_view prefix, std::string_view rest, net::TimePoint now) const;
  Result<std::optional<Selection>> try_entry(const std::string& entry, const Path& path) const;
  Result<std::optional<Selection>> folder(const Path& path) const;
  Result<Selection> script(const Path& path, std::string_view file, std::string_view path_info) const;
  bool is_script(std::string_view name) const;
  bool is_known(std::string_view file, net::TimePoint now) const;
  void remember(std::string_view file, net::TimePoint now) const;
  Result<Kind> look(int root, std::string_view path) const;

  config::Module settings_;
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::string, net::TimePoint, Hash, std::equal_to<>> known_;  // scripts, until when
  exchange::RootFolder root_;
  PathWalk walk_;
};

// Whether a name is a script's source, of whatever version and configuration: it is never sent.
bool is_source(std::string_view name);

}  // namespace fivefold::models::module
