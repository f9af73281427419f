#include "app/keeper/notify.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "base/text.h"

namespace fivefold::app {

Notifier Notifier::from_environment() {
  const char* address = std::getenv("NOTIFY_SOCKET");
  Notifier notifier(address ? address : "");
  ::unsetenv("NOTIFY_SOCKET");
  return notifier;
}

std::string status_message(std::string_view status) {
  std::string message = "STATUS=";
  for (const char c : status) message.push_back(c == '\n' ? ' ' : c);  // a line feed would begin another assignment
  return message;
}

std::string ready_message(int pid, std::string_view status) {
  return "READY=1\nMAINPID=" + std::to_string(pid) + "\n" + status_message(status);
}

std::string reloading_message(std::chrono::microseconds monotonic) {
  return "RELOADING=1\nMONOTONIC_USEC=" + std::to_string(monotonic.count()) + "\n" +
         status_message("Reading the configuration");
}

void Notifier::ready(std::string_view status) const { send(ready_message(::getpid(), status)); }

void Notifier::reloading() const {
  send(reloading_message(std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now().time_since_epoch())));  // CLOCK_MONOTONIC
}

void Notifier::stopping() const { send("STOPPING=1\n" + status_message("Finishing requests in flight")); }

void Notifier::status(std::string_view status) const { send(status_message(status)); }

void Notifier::send(std::string_view message) const {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (address_.empty() || address_.size() >= sizeof address.sun_path || (address_[0] != '/' && address_[0] != '@'))
    return;
  std::memcpy(address.sun_path, address_.data(), address_.size());
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // the abstract namespace
  UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return;
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  (void)::sendto(socket.get(), message.data(), message.size(), MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&address), length);
}

std::vector<UniqueFd> take_activated_sockets() {
  constexpr int kFirst = 3;  // SD_LISTEN_FDS_START
  std::vector<UniqueFd> sockets;
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  if (pid && count) {
    const auto for_pid = parse_decimal(pid);
    const auto number = parse_decimal(count);
    if (for_pid == static_cast<std::uint64_t>(::getpid()) && number && *number <= 1024) {
      for (int fd = kFirst; fd < kFirst + static_cast<int>(*number); ++fd) {
        const int flags = ::fcntl(fd, F_GETFD);
        if (flags < 0) continue;
        ::fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
        sockets.emplace_back(fd);
      }
    }
  }
  ::unsetenv("LISTEN_PID");
  ::unsetenv("LISTEN_FDS");
  ::unsetenv("LISTEN_FDNAMES");
  return sockets;
}

}  // namespace fivefold::app
