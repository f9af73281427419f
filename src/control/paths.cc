#include "control/paths.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace fivefold::control {
namespace {

std::string private_folder() { return "/tmp/fivefold-" + std::to_string(::geteuid()); }

std::string folder() {
  if (::geteuid() == 0) return "/run";
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime && runtime[0] == '/' && ::access(runtime, W_OK | X_OK) == 0) return runtime;
  return private_folder();
}

}  // namespace

std::string default_path() { return folder() + "/fivefold.sock"; }

std::string path_for_process(pid_t pid) { return folder() + "/fivefold-" + std::to_string(pid) + ".sock"; }

Result<void> make_folder(const std::string& socket_path) {
  const auto folder = socket_path.substr(0, socket_path.rfind('/'));
  if (folder.empty()) return {};
  const bool in_tmp = folder == private_folder();
  if (::mkdir(folder.c_str(), in_tmp ? 0700 : 0755) != 0 && errno != EEXIST)
    return fail(Code::internal, "cannot make the folder of the control socket, " + folder + ": " + errno_text(errno) +
                                    "; make it, or name another in [server] control");
  if (!in_tmp) return {};
  // Anybody may make a folder under /tmp before us.
  struct stat status{};
  if (::lstat(folder.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != ::geteuid() ||
      (status.st_mode & 077) != 0)
    return fail(
        Code::internal,
        folder +
            " is not a folder that only you can use; remove it, set XDG_RUNTIME_DIR, or name a control socket in "
            "[server] control");
  return {};
}

std::string program_log_path(const config::Server& server, const std::string& program) {
  return server.program_logs.empty() ? std::string() : server.program_logs + "/" + program + ".log";
}

}  // namespace fivefold::control
