#include "app/keeper/self_exec.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace fivefold::app {

Result<std::pair<UniqueFd, UniqueFd>> socket_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return fail_errno(errno, "cannot make a socket between two processes of the server");
  return std::pair{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Result<OwnChild> start_self(const char* word) {
  auto pair = socket_pair();
  if (!pair) return std::unexpected(pair.error());
  UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) return fail_errno(errno, "cannot open /dev/null");
  const char* arguments[] = {"fivefold", word, nullptr};
  // The keeper is small and has one thread: a plain fork is cheap and safe here.
  const pid_t pid = ::fork();
  if (pid < 0)
    return fail(Code::out_of_resources,
                "cannot start a process: " + errno_text(errno) +
                    "; the limits of processes or memory are reached (`ulimit -u`, cgroup pids.max)");
  if (pid == 0) {
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::dup2(null.get(), STDIN_FILENO);
    const int socket = pair->second.get();
    if (socket == kKeeperSocket)
      ::fcntl(socket, F_SETFD, 0);
    else if (::dup2(socket, kKeeperSocket) < 0)
      ::_exit(126);
    ::execv("/proc/self/exe", const_cast<char* const*>(arguments));
    ::_exit(127);
  }
  return OwnChild{pid, std::move(pair->first)};
}

void leave_signals_to_keeper() {
  struct sigaction action{};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT}) ::sigaction(number, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);  // writes answer with EPIPE
}

}  // namespace fivefold::app
