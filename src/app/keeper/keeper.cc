#include "app/keeper/keeper.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <fstream>
#include <iostream>
#include <thread>

#include "app/keeper/keeper_state.h"
#include "control/paths.h"

namespace fivefold::app {

using namespace std::chrono_literals;

namespace {

constexpr auto kPredecessorLook = 50ms;
constexpr int kPredecessorLooks = 20;
constexpr auto kHelperEnd = 5s;  // the helpers' time to end their processes when everything stops

Result<UniqueFd> block_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2}) ::sigaddset(&set, number);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return fail_errno(errno, "cannot block signals");
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return fail_errno(errno, "cannot open a descriptor for signals");
  ::signal(SIGPIPE, SIG_IGN);
  return fd;
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

std::vector<pid_t> children_of_this_process() {
  std::ifstream file("/proc/thread-self/children");
  std::vector<pid_t> pids;
  for (pid_t pid; file >> pid;) pids.push_back(pid);
  return pids;
}

}  // namespace

int Keeper::run() {
  if (!set_up()) return 1;
  while (!finished_) turn();
  end_everything();
  return exit_status_;
}

bool Keeper::set_up() {
  const auto refuse = [](const std::string& why) {
    std::cerr << "fivefold: " << why << '\n';
    return false;
  };
  auto signals = block_signals();
  if (!signals) return refuse(signals.error().message);
  signals_ = std::move(*signals);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  raise_descriptor_limit();
  started_ = ::time(nullptr);

  std::vector<std::string> notes;
  activated_ = describe_activated(std::move(options_.activated), notes);
  for (const auto& error : runtime_.remove_stale()) notes.push_back(error);
  auto prepared = prepare_setup(std::move(options_.first), nullptr, false, activated_, identities_, runtime_);
  if (!prepared.setup) {
    for (const auto& fault : prepared.faults) std::cerr << "fivefold: " << fault << '\n';
    return false;
  }
  setup_ = std::move(prepared.setup);
  if (!open_control()) return false;
  log_.use(setup_->logs.server.get());
  for (const auto& note : notes) log_.warn(note);
  for (const auto& note : setup_->notes) log_.warn(note);
  const auto cores = loop_count(0);
  if (auto started = helpers_.start(helper_count(setup_->config.server.spawners, cores)); !started)
    return refuse(started.error().message);
  helpers_.tell_identities(identities_.identities());
  if (!start_server(setup_)) {
    end_everything();
    return refuse("the server process could not be started; the log tells why");
  }
  return true;
}

bool Keeper::open_control() {
  const auto& configured = setup_->config.server.control;
  control_path_ = configured.empty() ? control::default_path() : configured;
  auto made = control::make_folder(control_path_);
  if (!made) {
    std::cerr << "fivefold: " << made.error().message << '\n';
    return false;
  }
  auto socket = open_unix(control_path_, 0600, 64);
  // The server of a keeper that was killed a moment ago is about to end too.
  const bool has_other_path = options_.development && configured.empty();
  for (int look = 0;
       look < kPredecessorLooks && !has_other_path && !socket && socket.error().code == Code::out_of_resources;
       ++look) {
    std::this_thread::sleep_for(kPredecessorLook);
    socket = open_unix(control_path_, 0600, 64);
  }
  if (!socket && socket.error().code == Code::out_of_resources && has_other_path) {
    control_path_ = control::path_for_process(::getpid());
    socket = open_unix(control_path_, 0600, 64);
  }
  if (!socket) {
    const bool taken = socket.error().code == Code::out_of_resources;
    std::cerr << "fivefold: "
              << (taken ? "another Fivefold answers on the control socket " + control_path_ +
                              "; stop it (fivefold stop --control " + control_path_ +
                              "), or give this one a socket of its own: [server] control"
                        : socket.error().message)
              << '\n';
    return false;
  }
  control_ = std::move(*socket);
  return true;
}

int Keeper::timeout() const {
  auto next = restart_at_;
  for (const auto& server : servers_) next = std::min(next, server->kill_at);
  if (change_)
    next = std::min(next, change_->due);
  else
    next = std::min(next, rotation_.due(setup_->config));
  if (next == Clock::time_point::max()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

void Keeper::turn() {
  std::vector<pollfd> polled{{signals_.get(), POLLIN, 0}};
  helpers_.add_to(polled);
  const auto helper_end = polled.size();
  for (const auto& server : servers_) polled.push_back({server->socket ? server->socket.get() : -1, POLLIN, 0});
  std::vector<pid_t> pids;
  for (const auto& server : servers_) pids.push_back(server->pid);
  if (::poll(polled.data(), polled.size(), timeout()) < 0 && errno != EINTR) {
    log_.error("Waiting for events failed: " + errno_text(errno));
    finished_ = true;
    return;
  }
  for (std::size_t i = helper_end; i < polled.size(); ++i) {
    if (!(polled[i].revents & (POLLIN | POLLHUP | POLLERR))) continue;
    auto* server = find(pids[i - helper_end]);
    if (!server || !server->socket) continue;
    hear(*server);
  }
  for (std::size_t i = 1; i < helper_end; ++i)
    if (polled[i].revents) helpers_.heard(polled[i].fd);
  if (polled[0].revents & POLLIN) {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) on_signal(static_cast<int>(info.ssi_signo));
  }
  const auto now = Clock::now();
  for (const auto& server : servers_) {
    if (server->kill_at > now) continue;
    if (server->state == ServerProcess::State::starting)
      log_.error("The server process (pid " + std::to_string(server->pid) +
                 ") did not become ready in time; it is killed.");
    else
      log_.warn("The server process (pid " + std::to_string(server->pid) + ") did not end in time; it is killed.");
    server->kill_at = Clock::time_point::max();
    ::kill(server->pid, SIGKILL);
  }
  if (restart_at_ <= now) {
    restart_at_ = Clock::time_point::max();
    if (!stopping_ && !current() && !start_server(setup_)) start_after_delay();
  }
  if (!change_ && rotation_.due(setup_->config) <= now) rotate_logs(now);
  if (change_ && change_->due <= now) {
    const pid_t hung = change_->server;
    abandon("the server process did not answer in time; it is killed and started again.");
    ::kill(hung, SIGKILL);
  }
}

void Keeper::on_signal(int number) {
  switch (number) {
    case SIGCHLD:
      reap();
      break;
    case SIGTERM:
    case SIGINT:
      if (stopping_)
        stop_at_once();
      else
        stop();
      break;
    case SIGQUIT:
      stop_at_once();
      break;
    case SIGHUP:
      change(ChangeKind::reload, {});
      break;
    case SIGUSR1:
      reopen_logs({});
      break;
    default:
      break;
  }
}

void Keeper::reap() {
  int status = 0;
  for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    if (find(pid))
      on_server_exit(pid, status);
    else if (helpers_.owns(pid))
      on_helper_exit(pid, status);
    // Others are orphans of programs, reaped here because this process is their subreaper.
  }
}

void Keeper::end_everything() {
  for (auto& server : servers_) ::kill(server->pid, SIGKILL);
  helpers_.stop();
  const auto deadline = Clock::now() + kHelperEnd;
  while (!helpers_.gone() && Clock::now() < deadline) {
    pollfd polled{signals_.get(), POLLIN, 0};
    ::poll(&polled, 1, 100);
    signalfd_siginfo info{};
    bool again = false;
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) again |= info.ssi_signo != SIGCHLD;
    for (pid_t pid; (pid = ::waitpid(-1, nullptr, WNOHANG)) > 0;) helpers_.forget(pid);
    if (again) break;  // asked once more: no more waiting
  }
  // What is left: a helper that hangs, and orphans that no helper could end.
  for (int round = 0; round < 100; ++round) {
    for (const pid_t pid : children_of_this_process()) ::kill(pid, SIGKILL);
    pid_t pid = 0;
    while ((pid = ::waitpid(-1, nullptr, WNOHANG)) > 0) {
    }
    if (pid < 0) break;  // ECHILD: nobody is left
    ::poll(nullptr, 0, 20);
  }
  if (auto removed = runtime_.remove(); !removed) log_.warn(removed.error().message);
  log_.info("Stopped.");
  control_.reset();
  setup_.reset();
}

int run_keeper(KeeperOptions options) { return Keeper(std::move(options)).run(); }

}  // namespace fivefold::app
