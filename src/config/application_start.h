#pragma once
// How an application of a folder is started, and what that is in a configuration.
#include <string>
#include <vector>

#include "config/application_folder.h"

namespace fivefold::config {

struct ApplicationStart {
  std::vector<std::string> command = {};
  // Instead of a command, the server's own workers: "module:callable", or a file of PSGI.
  std::string wsgi = {}, asgi = {}, psgi = {};
  std::string venv = {};      // of wsgi and asgi
  std::string servlet = {};   // instead: a WAR file or a folder, beneath the application's folder
  std::string path = {};      // PATH of its environment; empty: the usual one
  bool strip_prefix = false;  // it knows nothing of where it is mounted
  std::string problem = {};   // why there is no command, and the mend
};

// Where tools are looked for: `usual` first, and then where else the user has some.
struct ToolPath {
  std::string usual;
  std::string also = {};
  // Whether the worker for a language is installed.
  bool php = false;
  bool python = false;
  bool perl = false;
};

// `directory` is the scanned folder, absolute: an environment of Python may lie there for all applications in it.
// `prefix` is where it is mounted, "/shop", empty for everything.
ApplicationStart start_of(const ApplicationFolder& application, const std::string& directory, const std::string& prefix,
                          const ToolPath& tools);

// That of a WAR file.
ApplicationStart start_of_archive(const std::string& file, const std::string& prefix, const ToolPath& tools);

}  // namespace fivefold::config
