#pragma once
// Where things are that both the running server and the commands that speak to it must find.
#include <sys/types.h>

#include <string>

#include "base/error.h"
#include "config/config.h"

namespace fivefold::control {

// The control socket when [server] control names none: /run/fivefold.sock for root, $XDG_RUNTIME_DIR/fivefold.sock, or
// /tmp/fivefold-UID/fivefold.sock where there is no such folder.
std::string default_path();
// The same with a process in its name, for a second server without a configuration.
std::string path_for_process(pid_t pid);

// Makes the folder of a control socket when its own parent is there. The one under /tmp must be ours and closed to
// others.
Result<void> make_folder(const std::string& socket_path);

// The path of a program's log; empty when it writes to the server's.
std::string program_log_path(const config::Server& server, const std::string& program);

}  // namespace fivefold::control
