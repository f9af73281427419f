#pragma once
// What `fivefold serve DIR` makes of a folder without a configuration: the configuration it would have, as TOML text.
#include <optional>
#include <string>
#include <vector>

#include "config/application_start.h"

namespace fivefold::config {

// One thing found in the folder, for the list that `serve` prints.
struct Found {
  std::string route;    // "/cgi-bin/*"
  std::string model;    // "files", "cgi", "module", "app", "function"
  std::string what;     // "cgi-bin/hello.pl (Perl)", "12 files", ...
  std::string start;    // how it will be started: "a process per request: /usr/bin/perl hello.pl"
  std::string missing;  // what keeps it from running and the mend; empty when nothing does
};

struct Folder {
  std::string toml;  // a whole configuration; parse() takes it
  std::vector<Found> found;
};

// Reads `directory` (absolute), `listen` are --listen values, empty for the default. `tools` says where programs are
// looked for; left out: where the system has them, and then along this process's own PATH.
// An application that is complete is mounted at its folder and started with the first request, one at the top at once.
// What cannot run, or needs a model that this build does not have, is reported in `missing` and not routed; its source
// is never sent as a file.
Folder read_folder(const std::string& directory, const std::vector<std::string>& listen,
                   const std::optional<ToolPath>& tools = std::nullopt);

}  // namespace fivefold::config
