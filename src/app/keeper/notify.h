#pragma once
// The service manager's protocol: sd_notify(3) messages and the sockets of sd_listen_fds(3).
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"

namespace fivefold::app {

// Speaks to $NOTIFY_SOCKET; does nothing where there is none. Failures are of no consequence and not reported.
class Notifier {
 public:
  // Takes the address out of the environment, so that no process started from here speaks in our name.
  static Notifier from_environment();
  Notifier() = default;
  explicit Notifier(std::string address) : address_(std::move(address)) {}

  void ready(std::string_view status) const;
  void reloading() const;
  void stopping() const;
  void status(std::string_view status) const;
  void send(std::string_view message) const;

 private:
  std::string address_;
};

// The messages themselves, without a socket.
std::string ready_message(int pid, std::string_view status);
std::string reloading_message(std::chrono::microseconds monotonic);  // systemd's Type=notify-reload wants the time
std::string status_message(std::string_view status);

// The listening sockets the service manager has opened for this process ($LISTEN_PID is ours), made close-on-exec; the
// variables are taken out of the environment.
std::vector<UniqueFd> take_activated_sockets();

}  // namespace fivefold::app
