#pragma once
// Where the configuration comes from: a file, or a folder that needs none. Read again for every reload.
#include <string>
#include <vector>

#include "config/config.h"
#include "config/folder.h"
#include "config/load.h"

namespace fivefold::app {

struct ReadConfig {
  std::string text;                  // as parsed; what the server process gets
  std::string file;                  // for messages
  std::string directory;             // what relative paths were taken from
  config::Loaded loaded;             // with the machine's faults
  std::vector<config::Found> found;  // of a folder without a configuration
  bool folder = false;               // there was no configuration file
};

class ConfigSource {
 public:
  static ConfigSource file(std::string path);
  // DIR/fivefold.toml as it stands when it is there, else what the folder holds. `listen` replaces [server] listen when
  // not empty.
  static ConfigSource folder(std::string directory, std::vector<std::string> listen);

  ReadConfig read() const;
  // The file of the configuration, or the folder.
  const std::string& name() const { return path_; }
  bool is_folder() const { return folder_; }

 private:
  std::string path_;  // absolute
  std::vector<std::string> listen_;
  bool folder_ = false;
};

// The name of the configuration file that is looked for.
inline constexpr const char* kConfigName = "fivefold.toml";
inline constexpr const char* kSystemConfig = "/etc/fivefold/fivefold.toml";
// --config's default: ./fivefold.toml, or the system's when that is not there.
std::string default_config_path();

std::string absolute_path(const std::string& path);

}  // namespace fivefold::app
