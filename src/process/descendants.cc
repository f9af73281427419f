#include "process/descendants.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

namespace fivefold::process {
namespace {

// The parent in /proc/PID/stat: the second field after the last ')', because a process's name may hold anything.
pid_t parent_of(const char* pid) {
  std::ifstream file(std::string("/proc/") + pid + "/stat");
  std::string line;
  std::getline(file, line);
  const auto name_end = line.rfind(')');
  pid_t parent = -1;
  char state = 0;
  if (name_end != std::string::npos) std::sscanf(line.c_str() + name_end + 1, " %c %d", &state, &parent);
  return parent;
}

}  // namespace

std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> children;
  const std::string id = std::to_string(pid);
  if (std::ifstream file("/proc/" + id + "/task/" + id + "/children"); file) {
    for (pid_t child = 0; file >> child;) children.push_back(child);
    return children;
  }
  // A kernel without CONFIG_PROC_CHILDREN.
  if (DIR* const proc = ::opendir("/proc")) {
    while (const dirent* entry = ::readdir(proc))
      if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && parent_of(entry->d_name) == pid)
        children.push_back(static_cast<pid_t>(std::atol(entry->d_name)));
    ::closedir(proc);
  }
  return children;
}

bool kill_descendants(std::chrono::milliseconds deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  sigset_t child_signal;
  sigemptyset(&child_signal);
  sigaddset(&child_signal, SIGCHLD);
  while (true) {
    for (const pid_t child : children_of(::getpid())) ::kill(child, SIGKILL);
    pid_t reaped = 0;
    while ((reaped = ::waitpid(-1, nullptr, WNOHANG)) > 0) {
    }
    if (reaped < 0 && errno == ECHILD) return true;
    if (std::chrono::steady_clock::now() >= end) return false;
    const timespec pause{0, 5'000'000};
    ::sigtimedwait(&child_signal, nullptr, &pause);
  }
}

}  // namespace fivefold::process
