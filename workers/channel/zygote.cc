#include "channel/zygote.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <map>

#include "channel/stack_thread.h"

namespace fivefold::worker {

namespace {

using protocol::Control;
using protocol::ControlHeader;
using protocol::kControlFd;

// Told of each child that ends. A signalfd would miss those whose SIGCHLD is delivered to a thread of a preloaded
// script, which has been there before the signal could be blocked.
int child_event = -1;

void on_child(int) {
  const int error = errno;
  eventfd_write(child_event, 1);
  errno = error;
}

// Of a message; closed with it.
struct Descriptor {
  int number = -1;
  ~Descriptor() {
    if (number >= 0) close(number);
  }
};

class Zygote {
 public:
  Zygote(Interpreter& interpreter, bool shows_stacks) : interpreter_(interpreter), shows_stacks_(shows_stacks) {}

  bool say(ControlHeader header, std::string_view text = {}, std::span<const int> descriptors = {});
  int run();

 private:
  enum class Heard { message, end, nonsense };
  Heard listen();
  void fork_worker(std::uint32_t id, std::int32_t channels, int claims_page);
  [[noreturn]] void be_worker(std::span<const int> descriptors, std::atomic<std::uint32_t>* claims);
  void reap();
  int end_workers();

  Interpreter& interpreter_;
  bool shows_stacks_;
  std::map<std::uint32_t, pid_t> workers_;
};

bool Zygote::say(ControlHeader header, std::string_view text, std::span<const int> descriptors) {
  text = text.substr(0, protocol::kMostText);
  header.size = static_cast<std::uint32_t>(text.size());
  iovec parts[] = {{&header, sizeof header}, {const_cast<char*>(text.data()), text.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * protocol::kMostChannels)] = {};
  if (!descriptors.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size_bytes());
  }
  while (sendmsg(kControlFd, &message, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return false;
  }
  return true;
}

void Zygote::be_worker(std::span<const int> descriptors, std::atomic<std::uint32_t>* claims) {
  close(kControlFd);
  std::signal(SIGCHLD, SIG_DFL);
  close(child_event);
  workers_.clear();
  int status = 0;
  {
    Channels channels(descriptors, claims);
    ignore_stack_signal();
    interpreter_.after_fork_in_worker();
    if (shows_stacks_) start_stack_thread(interpreter_);
    interpreter_.work(channels);
    if (channels.forked()) _exit(0);
    if (channels.nonsense()) status = kExitProtocol;
  }
  interpreter_.leave();
  std::fflush(nullptr);
  _exit(status);
}

// `claims_page` stays the caller's; -1: none was given.
void Zygote::fork_worker(std::uint32_t id, std::int32_t channels, int claims_page) {
  std::array<int, protocol::kMostChannels> server_ends;
  std::array<int, protocol::kMostChannels> worker_ends;
  const std::size_t count = static_cast<std::size_t>(channels);
  std::size_t made = 0;
  int error = channels < 1 || count > protocol::kMostChannels ? EINVAL : 0;
  const char* step = "A worker has 1 to 128 channels";
  void* claims = MAP_FAILED;
  if (error == 0 && claims_page >= 0) {
    claims = mmap(nullptr, protocol::kClaimsSize, PROT_READ | PROT_WRITE, MAP_SHARED, claims_page, 0);
    if (claims == MAP_FAILED) error = errno;
    step = "mmap of a worker's page of claims";
  }
  for (; error == 0 && made < count; ++made) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
      error = errno;
      step = "socketpair for a channel";
      break;
    }
    server_ends[made] = pair[0];
    worker_ends[made] = pair[1];
  }
  if (error == 0) {
    interpreter_.before_fork();
    const pid_t pid = fork();
    if (pid == 0) {
      for (std::size_t i = 0; i < made; ++i) close(server_ends[i]);
      if (claims_page >= 0) close(claims_page);
      be_worker(std::span(worker_ends).first(made),
                claims == MAP_FAILED ? nullptr : static_cast<std::atomic<std::uint32_t>*>(claims));
    }
    error = pid < 0 ? errno : 0;
    step = "fork";
    interpreter_.after_fork_in_zygote();
    if (pid > 0) {
      workers_[id] = pid;
      say({Control::started, id, static_cast<std::int32_t>(pid), 0, 0}, {}, std::span(server_ends).first(made));
    }
  }
  if (error != 0) say({Control::refused, id, error, 0, 0}, step);
  if (claims != MAP_FAILED) munmap(claims, protocol::kClaimsSize);
  for (std::size_t i = 0; i < made; ++i) {
    close(server_ends[i]);
    close(worker_ends[i]);
  }
}

Zygote::Heard Zygote::listen() {
  std::array<char, sizeof(ControlHeader) + protocol::kMostText> packet;
  iovec part{packet.data(), packet.size()};
  alignas(cmsghdr) char rights[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = rights;
  message.msg_controllen = sizeof rights;
  const ssize_t got = recvmsg(kControlFd, &message, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
  Descriptor passed;
  if (const cmsghdr* one = got > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
      one != nullptr && one->cmsg_level == SOL_SOCKET && one->cmsg_type == SCM_RIGHTS)
    std::memcpy(&passed.number, CMSG_DATA(one), sizeof passed.number);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return Heard::message;
  if (got <= 0) return Heard::end;
  ControlHeader header;
  if (static_cast<std::size_t>(got) < sizeof header) return Heard::nonsense;
  std::memcpy(&header, packet.data(), sizeof header);
  if (static_cast<std::size_t>(got) != sizeof header + header.size) return Heard::nonsense;
  switch (header.kind) {
    case Control::fork:
      fork_worker(header.id, header.value, passed.number);
      return Heard::message;
    case Control::signal:
      if (auto worker = workers_.find(header.id); worker != workers_.end()) kill(worker->second, header.value);
      return Heard::message;
    default:
      return Heard::nonsense;
  }
}

void Zygote::reap() {
  eventfd_t seen = 0;
  eventfd_read(child_event, &seen);
  int status = 0;
  pid_t pid = 0;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    const auto worker = std::ranges::find(workers_, pid, [](const auto& one) { return one.second; });
    if (worker == workers_.end()) continue;  // something that a preloaded script had started
    say({Control::exited, worker->first, status, static_cast<std::int32_t>(pid), 0});
    workers_.erase(worker);
  }
}

int Zygote::end_workers() {
  for (const auto& [id, pid] : workers_) kill(pid, SIGTERM);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(protocol::kOrphanGrace);
  for (reap(); !workers_.empty(); reap()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    pollfd one{child_event, POLLIN, 0};
    poll(&one, 1, static_cast<int>(left.count()));
  }
  for (const auto& [id, pid] : workers_) kill(pid, SIGKILL);
  return 0;
}

int Zygote::run() {
  // What the interpreter or a preloaded script may have changed.
  child_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct sigaction action{};
  action.sa_handler = on_child;
  action.sa_flags = SA_RESTART | SA_NOCLDSTOP;
  sigemptyset(&action.sa_mask);
  if (child_event < 0 || sigaction(SIGCHLD, &action, nullptr) != 0) {
    std::perror("eventfd for the ends of workers");
    return kExitStart;
  }
  sigset_t child{};
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_UNBLOCK, &child, nullptr);
  if (!say({Control::ready, 0, 0, 0, 0}, interpreter_.version())) return 0;
  std::array<pollfd, 2> sources{{{kControlFd, POLLIN, 0}, {child_event, POLLIN, 0}}};
  while (true) {
    if (poll(sources.data(), sources.size(), -1) < 0 && errno != EINTR) return end_workers();
    if (sources[1].revents != 0) reap();
    if (sources[0].revents == 0) continue;
    switch (listen()) {
      case Heard::message:
        break;
      case Heard::nonsense:
        std::fputs("The server sent a control message that is none; the workers end.\n", stderr);
        end_workers();
        return kExitProtocol;
      case Heard::end:
        return end_workers();
    }
  }
}

}  // namespace

#if defined(__SANITIZE_ADDRESS__) || (defined(__has_feature) && __has_feature(address_sanitizer))
// An interpreter does not free everything at its end, and what a script does to crash is the script's.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() {
  return "detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_abort=0";
}
#endif

int run_zygote(Interpreter& interpreter, int argc, char** argv) {
  std::vector<std::string_view> known = {"program", "root", "slow"};
  for (std::string_view key : interpreter.settings()) known.push_back(key);
  const auto settings = Settings::parse(std::span<const char* const>(argv + 1, argv + argc), known);
  if (!settings) {
    std::fprintf(stderr, "%s\n", settings.error().c_str());
    return kExitSettings;
  }
  // A person who starts it by hand gets a sentence instead of a process that waits for nothing.
  int type = 0;
  socklen_t size = sizeof type;
  if (getsockopt(kControlFd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET) {
    std::fputs("This program is started by fivefold, with a socket as descriptor 3; it does nothing by itself.\n",
               stderr);
    return kExitProtocol;
  }
  fcntl(kControlFd, F_SETFD, FD_CLOEXEC);
  std::signal(SIGPIPE, SIG_IGN);
  if (const auto started = interpreter.start(*settings); !started) {
    std::fprintf(stderr, "%s\n", started.error().c_str());
    return kExitStart;
  }
  return Zygote(interpreter, settings->one("slow") == "yes").run();
}

}  // namespace fivefold::worker
