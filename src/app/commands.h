#pragma once
// The commands themselves. Each returns the exit status and says on standard error what kept it from being done.
#include <string>
#include <vector>

namespace fivefold::app {

int serve_command(const std::string& directory, const std::vector<std::string>& listen);
int run_command(const std::string& config);

// `path` is a configuration or a folder.
int check_command(const std::string& path);

// Where the running server is: its control socket, or the configuration that names it. Both empty: by the usual places.
struct Target {
  std::string control;
  std::string config;
};
std::string control_path(const Target& target);
// [server] control of a configuration that cannot be parsed as a whole; empty when it names none.
std::string control_in_text(const std::string& toml);

int status_command(const Target& target, bool json);
int metrics_command(const Target& target);
int top_command(const Target& target);

struct LogsOptions {
  std::string program;  // empty: the server's own log
  bool access = false;
  bool follow = false;
  bool reopen = false;
  unsigned lines = 20;
};
int logs_command(const Target& target, const LogsOptions& options);

// reload, restart or stop; restart of one program's instances with `program`.
int tell_command(const Target& target, const std::string& command, const std::string& program = {});

}  // namespace fivefold::app
