// What only the machine can tell about a configuration.
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/text.h"
#include "config/executable.h"
#include "config/inspection.h"
#include "config/load.h"

namespace fivefold::config {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostScripts = 2000;  // looked at in one folder of programs
constexpr int kDeepestScript = 8;
constexpr std::size_t kMostComplaints = 5;  // told of one folder; the rest is counted
constexpr int kNetBindService = 10;         // CAP_NET_BIND_SERVICE

// Who this process is, by name where there is one.
std::string self() {
  std::vector<char> buffer(64 * 1024);
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &found) != 0 || !found) return {};
  return found->pw_name;
}

// The first port that anybody may bind (net.ipv4.ip_unprivileged_port_start).
std::uint64_t first_free_port() {
  std::ifstream file("/proc/sys/net/ipv4/ip_unprivileged_port_start");
  std::string text;
  if (file >> text)
    if (const auto port = parse_decimal(text)) return *port;
  return 1024;
}

bool may_bind_any_port() {
  if (is_root()) return true;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("CapEff:"))
      return ((std::strtoull(line.c_str() + 7, nullptr, 16) >> kNetBindService) & 1) != 0;
  return false;
}

class Whole : Inspection {
 public:
  explicit Whole(const Config& config) : Inspection(config), config_(config) {}

  std::vector<Fault> run() {
    accounts(config_.server.user, config_.server.group, "[server]", "server");
    for (const auto& listen : config_.server.listen) listener(listen);
    const auto& server = config_.server;
    log(server.access_log, "server.access_log", "'access_log' in [server]");
    log(server.log, "server.log", "'log' in [server]");
    if (!server.program_logs.empty())
      writable_folder(server.program_logs, position("server.program_logs"), "'program_logs' in [server]");
    if (!server.control.empty() && !fs::is_directory(parent_of(server.control), ignored_))
      warning(position("server.control"),
              "the folder " + parent_of(server.control) + " of 'control' in [server] is not there",
              "sudo mkdir -p " + parent_of(server.control));
    for (const auto& [status, path] : server.error_pages)
      readable_file(path, position("server.error_pages." + std::to_string(status)),
                    "the page for " + std::to_string(status) + " in [server.error_pages]");
    for (std::size_t i = 0; i < config_.routes.size(); ++i)
      if (config_.routes[i].action == Action::files)
        folder(config_.routes[i].files.root,
               position("route[" + std::to_string(i) + "].files", config_.routes[i].position), "the folder of files");
    for (const auto& program : config_.programs) check(program);
    return take();
  }

 private:
  void log(const std::string& path, const std::string& key, const std::string& what) {
    if (path == "-" || path == "off") return;
    std::error_code why;
    const auto status = fs::status(path, why);
    if (fs::is_directory(status))
      error(position(key), printable(path, 400) + " of " + what + " is a folder", "name a file in it");
    else if (!fs::exists(status))
      writable_folder(parent_of(path), position(key), what);
    else if (::access(path.c_str(), W_OK) != 0)
      error(position(key), printable(path, 400) + " of " + what + " cannot be written to: " + errno_text(errno),
            "sudo chown " + owner() + " " + printable(path, 400));
  }

  void listener(const Listen& listen) {
    if (!listen.unix_path.empty()) {
      writable_folder(parent_of(listen.unix_path), listen.position, "the socket " + printable(listen.address));
      return;
    }
    // A service manager may hand over a socket it has bound (sd_listen_fds).
    const char* const passed = std::getenv("LISTEN_FDS");
    if (listen.port == 0 || listen.port >= first_free_port() || may_bind_any_port() || passed) return;
    error(listen.position,
          "port " + std::to_string(listen.port) + " of " + printable(listen.address) + " is below " +
              std::to_string(first_free_port()) + ", and this user may not listen there",
          "use a port above 1023, start as root, or give CAP_NET_BIND_SERVICE");
  }

  void check(const Program& program) {
    const auto key = "program." + program.name;
    const auto name = "program '" + program.name + "'";
    accounts(program.user, program.group, "[" + key + "]", key);
    if (!is_root() && !program.user.empty()) {
      if (program.user != self() && parse_decimal(program.user) != ::geteuid())
        error(position(key + ".user", program.position),
              name + " is to run as " + printable(program.user) + ", but only root can become another user",
              "start the server as root, or leave user out to run it as " + owner());
    }
    if (!program.working_directory.empty())
      folder(program.working_directory, position(key + ".working_directory", program.position),
             "the working directory of " + name);
    if (program.model == Model::app) inspect_app(*this, program);
    if (program.model == Model::module) inspect_module(*this, program);
    if (program.model != Model::cgi) return;
    const Cgi& cgi = program.cgi;
    const auto search_path = search_path_of(program);
    if (!cgi.interpreter.empty() && find_program(cgi.interpreter.front(), search_path).empty())
      error(position(key + ".interpreter", program.position),
            "the interpreter " + printable(cgi.interpreter.front()) + " of " + name +
                " is not there or has no execute bit",
            install_mend(cgi.interpreter.front()));
    if (!cgi.xsendfile_root.empty())
      folder(cgi.xsendfile_root, position(key + ".xsendfile_root", program.position), "the xsendfile_root of " + name);
    if (!cgi.script.empty()) {
      script(cgi, position(key + ".script", program.position), name, search_path);
    } else if (!cgi.root.empty() &&
               folder(cgi.root, position(key + ".root", program.position), "the root of " + name)) {
      scripts(cgi, position(key + ".root", program.position), search_path);
    }
  }

  void script(const Cgi& cgi, const Position& where, const std::string& name, const std::string& search_path) {
    std::error_code why;
    if (!fs::exists(cgi.script, why)) {
      error(where, "the script of " + name + ", " + printable(cgi.script, 400) + ", is not there",
            "install it, or correct the path");
      return;
    }
    auto missing = what_is_missing(cgi.script, look_at(cgi.script), !cgi.interpreter.empty(), search_path);
    // Mended without touching the configuration, and it costs this program alone.
    if (!missing.message.empty()) warning(where, std::move(missing.message), std::move(missing.mend));
  }

  // The programs of a folder, each a warning: one that cannot run is no reason to refuse the others.
  void scripts(const Cgi& cgi, const Position& where, const std::string& search_path) {
    std::size_t looked_at = 0;
    std::size_t complaints = 0;
    std::error_code why;
    auto file = fs::recursive_directory_iterator(cgi.root, fs::directory_options::skip_permission_denied, why);
    for (; !why && file != fs::recursive_directory_iterator(); file.increment(why)) {
      if (++looked_at > kMostScripts) break;
      if (file.depth() >= kDeepestScript) file.disable_recursion_pending();
      std::error_code gone;
      if (!file->is_regular_file(gone)) continue;
      const auto path = file->path().string();
      const bool wanted =
          std::ranges::any_of(cgi.extensions, [&](const auto& extension) { return path.ends_with(extension); });
      if (!cgi.extensions.empty() && !wanted) continue;
      const auto executable = look_at(path);
      // Without a list of extensions a file is meant to run if it looks like it: data may lie beside programs.
      if (!wanted && executable.kind != Executable::Kind::script && executable.kind != Executable::Kind::elf) continue;
      auto missing = what_is_missing(path, executable, !cgi.interpreter.empty(), search_path);
      if (missing.message.empty() || ++complaints > kMostComplaints) continue;
      warning(where, std::move(missing.message), std::move(missing.mend));
    }
    if (complaints > kMostComplaints)
      warning(where,
              std::to_string(complaints - kMostComplaints) + " more programs in " + printable(cgi.root, 400) +
                  " cannot be executed",
              "mend them in the same way");
  }

  const Config& config_;
  std::error_code ignored_;
};

}  // namespace

std::vector<Fault> inspect(const Config& config) { return Whole(config).run(); }

}  // namespace fivefold::config
