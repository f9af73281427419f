// `fivefold status`, `metrics` and `top`.
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <ctime>
#include <iostream>

#include "app/commands.h"
#include "control/control_client.h"
#include "control/status.h"

namespace fivefold::app {
namespace {

using Clock = std::chrono::steady_clock;

int complain(const Error& error) {
  std::cerr << "fivefold: " << error.message << '\n';
  return 1;
}

// The terminal without line editing and echo, while `top` runs.
class KeyMode {
 public:
  KeyMode() {
    if (!::isatty(STDIN_FILENO) || ::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios keys = before_;
    keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    changed_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &keys) == 0;
  }
  ~KeyMode() {
    if (changed_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  bool active() const { return changed_; }

 private:
  termios before_{};
  bool changed_ = false;
};

volatile std::sig_atomic_t interrupted = 0;

// Waits up to a second; true when the user wants to leave.
bool wait_for_key(bool keys) {
  pollfd input{keys ? STDIN_FILENO : -1, POLLIN, 0};
  if (::poll(&input, 1, 1000) < 0) return interrupted != 0;
  if (!(input.revents & (POLLIN | POLLHUP))) return interrupted != 0;
  char key = 0;
  return ::read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q' || key == 3 || key == 4;
}

}  // namespace

int status_command(const Target& target, bool json) {
  auto status = control::ask_json(control_path(target), "status");
  if (!status) return complain(status.error());
  if (json)
    std::cout << status->dump(2) << '\n';
  else
    std::cout << control::status_text(*status, ::time(nullptr));
  return 0;
}

int metrics_command(const Target& target) {
  auto metrics = control::ask(control_path(target), "metrics");
  if (!metrics) return complain(metrics.error());
  std::cout << *metrics;
  return 0;
}

int top_command(const Target& target) {
  const auto path = control_path(target);
  nlohmann::json before;
  auto before_at = Clock::now();
  const bool live = ::isatty(STDOUT_FILENO);
  if (!live) {
    auto first = control::ask_json(path, "status");
    if (!first) return complain(first.error());
    ::poll(nullptr, 0, 1000);
    auto second = control::ask_json(path, "status");
    if (!second) return complain(second.error());
    const std::chrono::duration<double> seconds = Clock::now() - before_at;
    std::cout << control::top_text(*second, *first, seconds.count(), ::time(nullptr), 0, 0);
    return 0;
  }
  struct sigaction action{};
  action.sa_handler = [](int) { interrupted = 1; };
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  const KeyMode keys;
  std::cout << "\033[?1049h\033[?25l" << std::flush;  // the other screen, no cursor
  int result = 0;
  std::string failure;
  while (!interrupted) {
    auto status = control::ask_json(path, "status");
    const auto now = Clock::now();
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) size = {24, 80, 0, 0};
    std::cout << "\033[H\033[2J";
    if (status) {
      const std::chrono::duration<double> seconds = now - before_at;
      std::cout << control::top_text(*status, before, seconds.count(), ::time(nullptr), size.ws_row - 1u, size.ws_col);
      before = std::move(*status);
      before_at = now;
      failure.clear();
    } else {
      // A server that is being started again answers a moment later.
      if (!failure.empty()) {
        failure = status.error().message;
        result = 1;
        break;
      }
      failure = status.error().message;
      std::cout << failure << '\n';
    }
    std::cout << std::flush;
    if (wait_for_key(keys.active())) {
      failure.clear();
      break;
    }
  }
  std::cout << "\033[?25h\033[?1049l" << std::flush;
  if (result != 0) std::cerr << "fivefold: " << failure << '\n';
  return result;
}

}  // namespace fivefold::app
