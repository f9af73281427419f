#include "process/spawner_helper.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace fivefold::process {
namespace {

constexpr int kEventsPerTurn = 64;
constexpr int kFirstFreeDescriptor = 3;

void close_between(unsigned first, unsigned last) {
  if (first <= last) ::syscall(SYS_close_range, first, last, 0);
}

}  // namespace

int SpawnerHelper::run() {
  if (!prepare()) return 1;
  while (turn()) {
  }
  processes_.end_everything();
  return 0;
}

// --- start

bool SpawnerHelper::prepare() {
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
  return keep_only_needed_descriptors() && events_.open() && events_.add(keeper_.get(), EPOLLIN, kKeeperToken) &&
         processes_.open();
}

// Standard input and output become /dev/null, standard error stays for the last words of a sanitizer or of libc.
bool SpawnerHelper::keep_only_needed_descriptors() {
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

// --- the loop

// False when the keeper is gone.
bool SpawnerHelper::turn() {
  epoll_event events[kEventsPerTurn];
  auto timeout = processes_.timeout();
  if (!unowned_.empty()) timeout = timeout.count() < 0 ? unowned_timeout() : std::min(timeout, unowned_timeout());
  const int count = events_.wait(events, timeout);
  if (count < 0 && errno != EINTR) return false;
  for (int i = 0; i < count; ++i) {
    const std::uint64_t token = events[i].data.u64;
    if (token == kKeeperToken) {
      if (!keeper_message()) return false;
    } else if (token == kOrphanToken) {
      processes_.orphans_ended();
    } else if (processes_.contains(token)) {
      process_exited(token);
    } else if (const auto client = clients_.find(token); client != clients_.end()) {
      client_ready(client->second, events[i].events);
    }
  }
  processes_.look();
  if (!unowned_.empty()) {
    end_unowned();
    if (Clock::now() >= offer_at_) offer_unowned();
  }
  return true;
}

// --- the keeper

// False when it is gone.
bool SpawnerHelper::keeper_message() {
  const ssize_t bytes = message_.receive(keeper_.get());
  if (bytes < 0) return is_temporary(errno);
  if (bytes == 0) return false;
  const auto kind = kind_of(message_.text());
  if (kind == MessageKind::identities) {
    if (auto identities = identities_.feed(message_.text()))
      if (const auto line = programs_.replace(std::move(*identities))) notice(*line);
  } else if (kind == MessageKind::client) {
    if (message_.descriptors().size() == 1)
      add_client(std::move(message_.descriptors()[0]));
    else
      notice(
          "a spawning helper is out of file descriptors and could not take a server's connection; raise the limit of "
          "open files");
  }
  message_.descriptors().clear();
  return true;
}

void SpawnerHelper::notice(std::string_view text) {
  const std::string message = encode_notice(text);
  // The keeper reads when it can; a line that finds no room is not worth waiting for.
  (void)!::send(keeper_.get(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace fivefold::process
