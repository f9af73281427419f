#include "process/started_processes.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "process/descendants.h"

namespace fivefold::process {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kEndingTick{50};    // how often processes that are being ended are looked at
constexpr milliseconds kOrphanTick{1000};  // how often adopted processes that have ended are looked for
constexpr milliseconds kEndOfLife{900};    // for killing everything when the keeper is gone

// Whether a child of ours that is alive belongs to this group. Asking for stopped children only, the kernel passes
// over zombies, so the leader's does not count.
bool group_lives(pid_t group) {
  siginfo_t info{};
  return ::waitid(P_PGID, static_cast<id_t>(group), &info, WSTOPPED | WNOHANG | WNOWAIT) == 0;
}

std::uint64_t microseconds(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1000000 + static_cast<std::uint64_t>(time.tv_usec);
}

}  // namespace

bool StartedProcesses::open() {
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  orphans_.reset(::signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC));
  return orphans_ && events_.add(orphans_.get(), EPOLLIN | EPOLLONESHOT, kOrphanToken);
}

std::expected<std::uint64_t, int> StartedProcesses::add(NewProcess process) {
  const std::uint64_t token = events_.new_token();
  if (!events_.add(process.pidfd.get(), EPOLLIN | EPOLLONESHOT, token)) {
    const int error = errno;
    ::kill(-process.pid, SIGKILL);
    ::waitpid(process.pid, nullptr, 0);
    programs_.give_back(std::move(process.cgroup));
    return std::unexpected(error);
  }
  if (process.kept) ++kept_count_;
  processes_.emplace(token, Process{std::move(process)});
  return token;
}

std::optional<ProcessExit> StartedProcesses::exited(std::uint64_t token) {
  Process& process = processes_.at(token);
  siginfo_t info{};
  rusage usage{};
  if (::syscall(SYS_waitid, P_PIDFD, process.pidfd.get(), &info, WEXITED | WNOWAIT | WNOHANG, &usage) != 0 ||
      info.si_pid == 0) {
    // A zombie that another process traces is not shown to its parent, though its descriptor says that it has ended.
    if (unseen_.empty()) unseen_due_ = Clock::now() + kEndingTick;
    unseen_.push_back(token);
    return std::nullopt;
  }
  process.exited = true;
  process.pidfd.reset();
  if (process.released) {
    try_finish(token, process);
    return std::nullopt;
  }
  ProcessExit exit;
  exit.client = process.client;
  exit.message.code = info.si_code;
  exit.message.id = process.id;
  exit.message.status = info.si_status;
  exit.message.cpu_microseconds = microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
  exit.message.peak_memory = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  if (process.kept) process.kept->exit = exit.message;
  if (process.client == 0) return std::nullopt;
  return exit;
}

void StartedProcesses::belongs_to(std::uint64_t token, std::uint64_t client, std::uint64_t id) {
  Process& process = processes_.at(token);
  process.client = client;
  process.id = id;
}

void StartedProcesses::signal(std::uint64_t token, int number) { ::kill(-processes_.at(token).pid, number); }

void StartedProcesses::release(std::uint64_t token, milliseconds grace) {
  Process& process = processes_.at(token);
  process.released = true;
  if (process.kept) {
    --kept_count_;
    process.kept.reset();
  }
  // The common case ends here: it has exited and has left nothing behind.
  if (try_finish(token, process)) return;
  process.kill_at = Clock::now() + grace;
  if (grace.count() == 0)
    kill_now(process);
  else
    ::kill(-process.pid, SIGTERM);
  if (ending_.empty()) ending_due_ = Clock::now() + kEndingTick;
  ending_.push_back(token);
}

void StartedProcesses::orphans_ended() { orphan_sweep_due_ = Clock::now() + kOrphanTick; }

milliseconds StartedProcesses::timeout() const {
  const bool nothing_ends = ending_.empty() && unseen_.empty();
  if (nothing_ends && !orphan_sweep_due_) return milliseconds(-1);
  auto wait = nothing_ends ? kOrphanTick : kEndingTick;
  if (orphan_sweep_due_) {
    const auto left = std::chrono::ceil<milliseconds>(*orphan_sweep_due_ - Clock::now());
    wait = std::clamp(left, milliseconds(0), wait);
  }
  return wait;
}

void StartedProcesses::watch_unseen() {
  for (const std::uint64_t token : std::exchange(unseen_, {}))
    if (const auto found = processes_.find(token); found != processes_.end() && !found->second.exited)
      events_.change(found->second.pidfd.get(), EPOLLIN | EPOLLONESHOT, token);
}

void StartedProcesses::look() {
  if (!unseen_.empty() && Clock::now() >= unseen_due_) watch_unseen();
  if (!ending_.empty() && Clock::now() >= ending_due_) look_at_ending();
  if (orphan_sweep_due_ && Clock::now() >= *orphan_sweep_due_) reap_orphans();
}

void StartedProcesses::end_everything() {
  for (auto& [token, process] : processes_) kill_now(process);
  if (!kill_descendants(kEndOfLife)) return;
  for (auto& [token, process] : processes_)
    if (process.cgroup && CgroupPool::is_empty(*process.cgroup)) programs_.give_back(std::move(process.cgroup));
}

void StartedProcesses::kill_now(Process& process) {
  process.killed = true;
  if (process.pid > 0) ::kill(-process.pid, SIGKILL);
  if (process.cgroup) CgroupPool::kill(*process.cgroup);
}

// Reaps and forgets a released process when it and its group have ended.
bool StartedProcesses::try_finish(std::uint64_t token, Process& process) {
  if (!process.exited) return false;
  if (group_lives(process.pid)) return false;
  if (process.cgroup && !CgroupPool::is_empty(*process.cgroup)) {
    if (!process.killed) return false;
    CgroupPool::kill(*process.cgroup);
    return false;
  }
  // What is in the group now has a living parent outside of it. The group's id is ours until the next line.
  ::kill(-process.pid, SIGKILL);
  ::waitpid(process.pid, nullptr, WNOHANG);
  programs_.give_back(std::move(process.cgroup));
  processes_.erase(token);
  return true;
}

void StartedProcesses::look_at_ending() {
  const auto now = Clock::now();
  std::erase_if(ending_, [this, now](std::uint64_t token) {
    const auto found = processes_.find(token);
    if (found == processes_.end() || try_finish(token, found->second)) return true;
    if (now >= found->second.kill_at) kill_now(found->second);
    return false;
  });
  ending_due_ = now + kEndingTick;
}

// Processes whose parents have died are ours now; those that have ended are reaped here. Started ones are left to
// their owners.
void StartedProcesses::reap_orphans() {
  orphan_sweep_due_.reset();
  signalfd_siginfo discarded;
  while (::read(orphans_.get(), &discarded, sizeof discarded) > 0) {
  }
  std::vector<pid_t> own;
  own.reserve(processes_.size());
  for (const auto& [token, process] : processes_) own.push_back(process.pid);
  std::sort(own.begin(), own.end());
  for (const pid_t child : children_of(pid_))
    if (!std::binary_search(own.begin(), own.end(), child)) ::waitpid(child, nullptr, WNOHANG);
  events_.change(orphans_.get(), EPOLLIN | EPOLLONESHOT, kOrphanToken);
}

}  // namespace fivefold::process
