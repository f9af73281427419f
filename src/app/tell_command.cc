// `fivefold reload`, `restart` and `stop`, and how every command finds the running server.
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <iostream>
#include <iterator>

#include "app/commands.h"
#include "app/source.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "config/load.h"
#include "control/control_client.h"
#include "control/paths.h"

namespace fivefold::app {
namespace {

constexpr int kStopTime =
    600'000;  // milliseconds `stop` waits for the last request; its own limit is [server.timeouts] drain

}  // namespace

// A faulty configuration must not keep `reload` from reaching the server that is to tell its faults.
std::string control_in_text(const std::string& toml) {
  bool in_server = false;
  for (std::size_t begin = 0; begin < toml.size();) {
    auto end = toml.find('\n', begin);
    if (end == std::string::npos) end = toml.size();
    const auto line = trim(std::string_view(toml).substr(begin, end - begin));
    begin = end + 1;
    if (line.starts_with('[')) in_server = line.starts_with("[server]");
    if (!in_server || !line.starts_with("control")) continue;
    auto rest = trim(line.substr(std::string_view("control").size()));
    if (!rest.starts_with('=')) continue;
    rest = trim(rest.substr(1));
    if (rest.empty() || (rest[0] != '"' && rest[0] != '\'')) continue;
    const auto close = rest.find(rest[0], 1);
    if (close != std::string_view::npos) return std::string(rest.substr(1, close - 1));
  }
  return {};
}

std::string control_path(const Target& target) {
  if (!target.control.empty()) return absolute_path(target.control);
  const auto file = absolute_path(target.config.empty() ? default_config_path() : target.config);
  std::ifstream stream(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  const auto directory = file.substr(0, std::max<std::size_t>(file.rfind('/'), 1));
  const auto loaded = config::parse(text, file, directory);
  if (loaded.config && !loaded.config->server.control.empty()) return loaded.config->server.control;
  if (!loaded.config) {
    const auto named = control_in_text(text);
    if (!named.empty()) return named[0] == '/' ? named : directory + "/" + named;
  }
  return control::default_path();
}

int tell_command(const Target& target, const std::string& command, const std::string& program) {
  auto answer = control::ask_json(control_path(target), command, program);
  if (!answer) {
    std::cerr << "fivefold: " << answer.error().message << '\n';
    return 1;
  }
  const auto text = answer->value("text", "");
  if (!answer->value("ok", false)) {
    std::cerr << "fivefold: " << text << '\n';
    return 1;
  }
  std::cout << text << '\n' << std::flush;
  if (command != "stop") return 0;
  UniqueFd keeper(static_cast<int>(::syscall(SYS_pidfd_open, answer->value("keeper_pid", 0), 0)));
  pollfd ended{keeper.get(), POLLIN, 0};
  if (keeper && ::poll(&ended, 1, kStopTime) != 1) {
    std::cerr << "fivefold: it has not stopped yet; its log tells what it waits for\n";
    return 1;
  }
  std::cout << "Stopped.\n";
  return 0;
}

}  // namespace fivefold::app
