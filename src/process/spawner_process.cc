#include "process/spawner_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <memory>
#include <unordered_map>

#include "net/channel.h"
#include "process/cgroup_pool.h"
#include "process/create_process.h"
#include "process/descendants.h"
#include "process/spawn_protocol.h"

namespace fivefold::process {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kEndingTick{50};           // how often processes that are being ended are looked at
constexpr milliseconds kOrphanTick{1000};         // how often adopted processes that have ended are looked for
constexpr milliseconds kEndOfLife{900};           // for killing everything when the keeper is gone
constexpr std::size_t kMaxUnsentReplies = 65536;  // a client that reads no replies is dropped then
constexpr std::size_t kMaxDescriptors = 4;        // that one message may carry
constexpr int kEventsPerTurn = 64;
constexpr int kFirstFreeDescriptor = 3;

// Tokens name everything that epoll watches; they are never used again, so a stale event finds nobody.
constexpr std::uint64_t kKeeperToken = 1;
constexpr std::uint64_t kOrphanToken = 2;
constexpr std::uint64_t kFirstToken = 16;

struct Client {
  UniqueFd socket;
  std::unordered_map<std::uint64_t, std::uint64_t> processes;  // id to token
  std::deque<std::string> unsent;
};

struct Process {
  std::uint64_t id = 0;
  std::uint64_t client = 0;  // token; 0 when released
  pid_t pid = 0;             // also its group's and session's id: reserved until the process is reaped
  UniqueFd pidfd;            // until it has exited
  bool exited = false;
  bool killed = false;
  Clock::time_point kill_at{};  // when released
  std::unique_ptr<CgroupFolder> cgroup;
};

struct Program {
  ResolvedIdentity resolved;
  std::vector<ResourceLimit> limits;
  bool in_cgroup = false;
};

class Helper {
 public:
  explicit Helper(UniqueFd keeper) : keeper_(std::move(keeper)), buffer_(kMaxMessage, '\0') {}

  int run() {
    if (!prepare()) return 1;
    while (turn()) {
    }
    end_everything();
    return 0;
  }

 private:
  // --- start and end

  bool prepare() {
    for (int number = 1; number < NSIG; ++number) {
      // An ignored signal would be ignored by every program (a CGI script relies on SIGPIPE), and blocking serves us as
      // well.
      struct sigaction action{};
      if (::sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) {
        action.sa_handler = SIG_DFL;
        ::sigaction(number, &action, nullptr);
      }
    }
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
    if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return false;
    ::prctl(PR_SET_NAME, "fivefold-spawn");
    if (!keep_only_needed_descriptors()) return false;
    epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    orphans_.reset(::signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC));
    return epoll_ && orphans_ && watch(EPOLL_CTL_ADD, keeper_.get(), EPOLLIN, kKeeperToken) &&
           watch(EPOLL_CTL_ADD, orphans_.get(), EPOLLIN | EPOLLONESHOT, kOrphanToken);
  }

  // Standard input and output become /dev/null, standard error stays for the last words of a sanitizer or of libc.
  bool keep_only_needed_descriptors() {
    null_.reset(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null_) return false;
    const int keeper = ::fcntl(keeper_.get(), F_DUPFD_CLOEXEC, 10);
    const int null = ::fcntl(null_.get(), F_DUPFD_CLOEXEC, 10);
    if (keeper < 0 || null < 0) return false;
    (void)keeper_.release();
    (void)null_.release();
    if (::dup2(null, 0) < 0 || ::dup2(null, 1) < 0) return false;
    if (::fcntl(2, F_GETFD) < 0 && ::dup2(null, 2) < 0) return false;
    const int low = std::min(keeper, null);
    const int high = std::max(keeper, null);
    close_between(kFirstFreeDescriptor, low - 1);
    close_between(low + 1, high - 1);
    close_between(high + 1, ~0U);
    keeper_.reset(keeper);
    null_.reset(null);
    return true;
  }

  static void close_between(unsigned first, unsigned last) {
    if (first <= last) ::syscall(SYS_close_range, first, last, 0);
  }

  void end_everything() {
    for (auto& [token, process] : processes_) kill_now(process);
    if (!kill_descendants(kEndOfLife)) return;
    for (auto& [token, process] : processes_)
      if (process.cgroup && cgroups_ && CgroupPool::is_empty(*process.cgroup))
        cgroups_->give_back(std::move(process.cgroup));
  }

  // --- the loop

  bool watch(int operation, int fd, std::uint32_t events, std::uint64_t token) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = token;
    return ::epoll_ctl(epoll_.get(), operation, fd, &event) == 0;
  }

  int timeout() const {
    if (ending_.empty() && !orphan_sweep_due_) return -1;
    auto wait = ending_.empty() ? kOrphanTick : kEndingTick;
    if (orphan_sweep_due_) {
      const auto left = std::chrono::ceil<milliseconds>(*orphan_sweep_due_ - Clock::now());
      wait = std::clamp(left, milliseconds(0), wait);
    }
    return static_cast<int>(wait.count());
  }

  // False when the keeper is gone.
  bool turn() {
    epoll_event events[kEventsPerTurn];
    const int count = ::epoll_wait(epoll_.get(), events, kEventsPerTurn, timeout());
    if (count < 0 && errno != EINTR) return false;
    for (int i = 0; i < count; ++i) {
      const std::uint64_t token = events[i].data.u64;
      if (token == kKeeperToken) {
        if (!keeper_message()) return false;
      } else if (token == kOrphanToken) {
        orphan_sweep_due_ = Clock::now() + kOrphanTick;
      } else if (const auto process = processes_.find(token); process != processes_.end()) {
        process_exited(token, process->second);
      } else if (const auto client = clients_.find(token); client != clients_.end()) {
        client_ready(token, client->second, events[i].events);
      }
    }
    if (!ending_.empty() && Clock::now() >= ending_due_) look_at_ending();
    if (orphan_sweep_due_ && Clock::now() >= *orphan_sweep_due_) reap_orphans();
    return true;
  }

  // One message into buffer_ and descriptors_. Bytes, 0 at the end, -1 with errno.
  ssize_t receive(int socket, bool& truncated) {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxDescriptors)];
    iovec part{buffer_.data(), buffer_.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    descriptors_.clear();
    const ssize_t bytes = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (bytes < 0) return bytes;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
      if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
      const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (std::size_t i = 0; i < count; ++i) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
        descriptors_.emplace_back(fd);
      }
    }
    truncated = (message.msg_flags & MSG_CTRUNC) != 0;
    if (message.msg_flags & MSG_TRUNC) return 0;
    return bytes;
  }

  // --- the keeper

  bool keeper_message() {
    bool truncated = false;
    const ssize_t bytes = receive(keeper_.get(), truncated);
    if (bytes < 0) return errno == EAGAIN || errno == EINTR || errno == ENOMEM || errno == ENOBUFS;
    if (bytes == 0) return false;
    const std::string_view message(buffer_.data(), static_cast<std::size_t>(bytes));
    const auto kind = kind_of(message);
    if (kind == MessageKind::identities) {
      if (auto identities = parse_identities(message)) take_identities(std::move(*identities));
    } else if (kind == MessageKind::client) {
      if (descriptors_.size() == 1)
        add_client(std::move(descriptors_[0]));
      else
        notice(
            "a spawning helper is out of file descriptors and could not take a server's connection; raise the limit of "
            "open files");
    }
    descriptors_.clear();
    return true;
  }

  void take_identities(std::vector<ResolvedIdentity> identities) {
    const bool wants_cgroup = std::any_of(identities.begin(), identities.end(), [](const ResolvedIdentity& each) {
      return each.identity.memory != 0 || each.identity.processes != 0;
    });
    if (wants_cgroup && !cgroups_tried_) {
      cgroups_tried_ = true;
      if (auto pool = CgroupPool::open())
        cgroups_ = std::move(*pool);
      else
        notice(
            "memory and process limits hold for each process, not for a program with its children, because cgroups "
            "cannot be used: " +
            pool.error().message);
    }
    programs_.clear();
    for (ResolvedIdentity& each : identities) {
      Program program;
      program.in_cgroup = cgroups_ && (each.identity.memory != 0 || each.identity.processes != 0);
      program.limits = resource_limits(each.identity, program.in_cgroup);
      program.resolved = std::move(each);
      programs_.push_back(std::move(program));
    }
  }

  void notice(std::string_view text) {
    const std::string message = encode_notice(text);
    // The keeper reads when it can; a line that finds no room is not worth waiting for.
    (void)!::send(keeper_.get(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }

  // --- clients

  void add_client(UniqueFd socket) {
    const std::uint64_t token = next_token_++;
    if (!watch(EPOLL_CTL_ADD, socket.get(), EPOLLIN, token)) return;
    clients_[token].socket = std::move(socket);
  }

  void drop_client(std::uint64_t token) {
    const auto found = clients_.find(token);
    for (const auto& [id, process_token] : found->second.processes) {
      const auto process = processes_.find(process_token);
      process->second.client = 0;
      end_process(process_token, process->second, milliseconds(0));
    }
    clients_.erase(found);
  }

  void client_ready(std::uint64_t token, Client& client, std::uint32_t events) {
    if ((events & EPOLLOUT) && !send_unsent(token, client)) return drop_client(token);
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
    bool truncated = false;
    const ssize_t bytes = receive(client.socket.get(), truncated);
    if (bytes < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOMEM || errno == ENOBUFS)) return;
    const bool good =
        bytes > 0 &&
        client_message(token, client, std::string_view(buffer_.data(), static_cast<std::size_t>(bytes)), truncated);
    descriptors_.clear();
    if (bytes > 0 && !good)
      notice("a server sent a spawning helper a malformed message and was cut off, its processes ended");
    if (!good) drop_client(token);
  }

  // False when malformed, or when the client cannot be answered any more.
  bool client_message(std::uint64_t token, Client& client, std::string_view message, bool truncated) {
    switch (kind_of(message).value_or(MessageKind::notice)) {
      case MessageKind::spawn:
        if (!parse_spawn(message, request_)) return false;
        release(client, request_.releases);
        return spawn(token, client, truncated);
      case MessageKind::release:
        if (!parse_release(message, request_.releases)) return false;
        release(client, request_.releases);
        return true;
      case MessageKind::signal: {
        const auto signal = read_message<SignalMessage>(message);
        if (!signal || message.size() != sizeof *signal || signal->number < 1 || signal->number >= NSIG) return false;
        if (const auto found = client.processes.find(signal->id); found != client.processes.end())
          ::kill(-processes_.at(found->second).pid, signal->number);
        return true;
      }
      default:
        return false;
    }
  }

  bool reply(std::uint64_t token, Client& client, std::string_view message) {
    if (client.unsent.empty()) {
      if (::send(client.socket.get(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return true;
      if (errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM)
        return true;  // it is gone; its end of file comes by epoll
      watch(EPOLL_CTL_MOD, client.socket.get(), EPOLLIN | EPOLLOUT, token);
    }
    client.unsent.emplace_back(message);
    return client.unsent.size() <= kMaxUnsentReplies;
  }

  bool send_unsent(std::uint64_t token, Client& client) {
    while (!client.unsent.empty()) {
      const std::string& message = client.unsent.front();
      if (::send(client.socket.get(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM || errno == EINTR;
      client.unsent.pop_front();
    }
    return watch(EPOLL_CTL_MOD, client.socket.get(), EPOLLIN, token);
  }

  // --- processes

  bool fail_spawn(std::uint64_t token, Client& client, SpawnStep step, int error) {
    FailedMessage failed;
    failed.step = step;
    failed.id = request_.header.id;
    failed.error = error;
    return reply(token, client, bytes_of(failed));
  }

  bool spawn(std::uint64_t token, Client& client, bool truncated) {
    const SpawnHeader& header = request_.header;
    if (client.processes.contains(header.id)) return false;
    const std::size_t wanted = static_cast<std::size_t>(__builtin_popcount(header.flags));
    if (descriptors_.size() != wanted)
      return truncated && descriptors_.size() < wanted && fail_spawn(token, client, SpawnStep::descriptors, EMFILE);
    if (header.program >= programs_.size()) return fail_spawn(token, client, SpawnStep::program, EINVAL);
    std::span<char> body(buffer_.data() + (request_.rest.data() - buffer_.data()), request_.rest.size());
    if (header.flags & SpawnHeader::kBodyInMemfd) {
      if (!read_body(descriptors_.back().get())) return false;
      body = large_body_;
    }
    if (!parse_body(header, body, strings_)) return false;
    const Program& program = programs_[header.program];
    Launch launch;
    std::size_t next = 0;
    for (std::uint32_t stream = 0; stream < 3; ++stream)
      launch.streams[stream] = header.flags & (1U << stream) ? descriptors_[next++].get() : null_.get();
    const Identity& identity = program.resolved.identity;
    launch.executable = strings_.executable;
    launch.directory = strings_.directory;
    launch.argv = strings_.argv.data();
    launch.envp = strings_.envp.data();
    launch.switch_user = identity.switch_user;
    launch.uid = identity.uid;
    launch.gid = identity.gid;
    launch.groups = program.resolved.groups.data();
    launch.group_count = program.resolved.groups.size();
    launch.limits = program.limits.data();
    launch.limit_count = program.limits.size();
    launch.parent = pid_;
    Process process;
    if (program.in_cgroup) {
      auto folder = cgroups_->take(identity.memory, identity.processes);
      if (!folder) {
        notice("program \"" + identity.program + "\" cannot be limited: " + folder.error().message);
        return fail_spawn(token, client, SpawnStep::limits, EAGAIN);
      }
      process.cgroup = std::move(*folder);
      launch.cgroup = process.cgroup->fd.get();
    }
    process.pid = creator_.create(launch, process.pidfd);
    descriptors_.clear();
    if (process.pid > 0) {
      if (watch(EPOLL_CTL_ADD, process.pidfd.get(), EPOLLIN, next_token_))
        return started(token, client, std::move(process));
      launch.failed_step = SpawnStep::watch;
      launch.error = errno;
      ::kill(-process.pid, SIGKILL);
      ::waitpid(process.pid, nullptr, 0);
    }
    if (process.cgroup) cgroups_->give_back(std::move(process.cgroup));
    return fail_spawn(token, client, launch.failed_step, launch.error);
  }

  bool started(std::uint64_t token, Client& client, Process process) {
    process.id = request_.header.id;
    process.client = token;
    StartedMessage message;
    message.pid = process.pid;
    message.id = process.id;
    client.processes.emplace(process.id, next_token_);
    processes_.emplace(next_token_, std::move(process));
    ++next_token_;
    return reply(token, client, bytes_of(message));
  }

  // Copies a memfd's content, which must be sealed: so it can neither shrink meanwhile nor be a file that makes us
  // wait.
  bool read_body(int memfd) {
    const int seals = ::fcntl(memfd, F_GET_SEALS);
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || !(seals & F_SEAL_WRITE)) return false;
    struct stat status{};
    if (::fstat(memfd, &status) != 0 || status.st_size != static_cast<off_t>(request_.body_size)) return false;
    large_body_.resize(request_.body_size);
    std::size_t done = 0;
    while (done < large_body_.size()) {
      const ssize_t bytes =
          ::pread(memfd, large_body_.data() + done, large_body_.size() - done, static_cast<off_t>(done));
      if (bytes <= 0) return false;
      done += static_cast<std::size_t>(bytes);
    }
    return true;
  }

  void process_exited(std::uint64_t token, Process& process) {
    siginfo_t info{};
    rusage usage{};
    // It stays a zombie until released: so long nobody else can get its pid or its group's.
    if (::syscall(SYS_waitid, P_PIDFD, process.pidfd.get(), &info, WEXITED | WNOWAIT | WNOHANG, &usage) != 0 ||
        info.si_pid == 0)
      return;
    process.exited = true;
    process.pidfd.reset();
    if (process.client == 0) {
      try_finish(token, process);
      return;
    }
    ExitedMessage message;
    message.code = info.si_code;
    message.id = process.id;
    message.status = info.si_status;
    const auto microseconds = [](const timeval& time) {
      return static_cast<std::uint64_t>(time.tv_sec) * 1000000 + static_cast<std::uint64_t>(time.tv_usec);
    };
    message.cpu_microseconds = microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
    message.peak_memory = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
    Client& client = clients_.at(process.client);
    const std::uint64_t client_token = process.client;
    if (!reply(client_token, client, bytes_of(message))) drop_client(client_token);
  }

  void release(Client& client, const std::vector<ReleaseEntry>& releases) {
    for (const ReleaseEntry& entry : releases) {
      const auto found = client.processes.find(entry.id);
      if (found == client.processes.end()) continue;  // its start had failed
      const std::uint64_t token = found->second;
      client.processes.erase(found);
      Process& process = processes_.at(token);
      process.client = 0;
      end_process(token, process, milliseconds(entry.grace_milliseconds));
    }
  }

  // The common case ends here: it has exited and has left nothing behind.
  void end_process(std::uint64_t token, Process& process, milliseconds grace) {
    if (try_finish(token, process)) return;
    process.kill_at = Clock::now() + grace;
    if (grace.count() == 0)
      kill_now(process);
    else
      ::kill(-process.pid, SIGTERM);
    if (ending_.empty()) ending_due_ = Clock::now() + kEndingTick;
    ending_.push_back(token);
  }

  void kill_now(Process& process) {
    process.killed = true;
    if (process.pid > 0) ::kill(-process.pid, SIGKILL);
    if (process.cgroup) CgroupPool::kill(*process.cgroup);
  }

  // Whether a child of ours that is alive belongs to this group. Asking for stopped children only, the kernel passes
  // over zombies, so the leader's does not count.
  static bool group_lives(pid_t group) {
    siginfo_t info{};
    return ::waitid(P_PGID, static_cast<id_t>(group), &info, WSTOPPED | WNOHANG | WNOWAIT) == 0;
  }

  // Reaps and forgets a released process when it and its group have ended.
  bool try_finish(std::uint64_t token, Process& process) {
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
    if (process.cgroup) cgroups_->give_back(std::move(process.cgroup));
    processes_.erase(token);
    return true;
  }

  void look_at_ending() {
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
  void reap_orphans() {
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
    watch(EPOLL_CTL_MOD, orphans_.get(), EPOLLIN | EPOLLONESHOT, kOrphanToken);
  }

  UniqueFd keeper_;
  UniqueFd null_;
  UniqueFd epoll_;
  UniqueFd orphans_;  // a signalfd for SIGCHLD
  const pid_t pid_ = ::getpid();
  ProcessCreator creator_;
  std::unique_ptr<CgroupPool> cgroups_;
  bool cgroups_tried_ = false;
  std::vector<Program> programs_;
  std::unordered_map<std::uint64_t, Client> clients_;
  std::unordered_map<std::uint64_t, Process> processes_;
  std::vector<std::uint64_t> ending_;  // released, not yet gone
  Clock::time_point ending_due_{};
  std::optional<Clock::time_point> orphan_sweep_due_;
  std::uint64_t next_token_ = kFirstToken;
  // Of the message at hand.
  std::vector<char> buffer_;
  std::vector<char> large_body_;
  std::vector<UniqueFd> descriptors_;
  SpawnRequest request_;
  SpawnStrings strings_;
};

}  // namespace

int run_spawner(UniqueFd keeper_socket) { return Helper(std::move(keeper_socket)).run(); }

Result<void> send_identities(int helper_socket, std::span<const Identity> identities) {
  return net::send_message(helper_socket, encode_identities(identities));
}

Result<void> send_client(int helper_socket, int client_socket) {
  const MessageKind kind = MessageKind::client;
  return net::send_message(helper_socket, bytes_of(kind), std::span(&client_socket, 1));
}

std::optional<std::string_view> parse_notice(std::string_view message) {
  if (kind_of(message) != MessageKind::notice) return std::nullopt;
  message.remove_prefix(sizeof(MessageKind));
  return message;
}

}  // namespace fivefold::process
