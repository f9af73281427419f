#include "app/keeper/helpers.h"

#include <signal.h>
#include <sys/socket.h>

#include <algorithm>

#include "app/keeper/self_exec.h"
#include "net/channel.h"
#include "process/spawner_process.h"

namespace fivefold::app {
namespace {

constexpr timeval kSendTime{5, 0};  // a helper that does not take a message for this long has hung

}  // namespace

unsigned helper_count(std::uint32_t configured, unsigned cores) {
  return configured ? configured : std::max(1u, cores / 2);
}

Result<void> Helpers::start(unsigned count) {
  helpers_.resize(count);
  for (auto& helper : helpers_)
    if (auto started = start_one(helper); !started) return started;
  return {};
}

Result<void> Helpers::start_one(Helper& helper) {
  auto child = start_self(kSpawnerWord);
  if (!child) return std::unexpected(child.error());
  helper.pid = child->pid;
  helper.socket = std::move(child->socket);
  ::setsockopt(helper.socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kSendTime, sizeof kSendTime);
  return process::send_identities(helper.socket.get(), identities_);
}

void Helpers::tell_identities(const std::vector<process::Identity>& identities) {
  identities_ = identities;
  for (auto& helper : helpers_) {
    if (!helper.socket) continue;
    if (auto sent = process::send_identities(helper.socket.get(), identities_); !sent) {
      log_.error("A spawning helper does not take what programs run as (" + sent.error().message +
                 "); it is started again.");
      ::kill(helper.pid, SIGKILL);
    }
  }
}

Result<UniqueFd> Helpers::connect(std::size_t index) {
  auto& helper = helpers_.at(index);
  auto pair = socket_pair();
  if (!pair) return std::unexpected(pair.error());
  if (auto sent = process::send_client(helper.socket.get(), pair->second.get()); !sent)
    return std::unexpected(sent.error());
  return std::move(pair->first);
}

bool Helpers::owns(pid_t pid) const {
  return std::any_of(helpers_.begin(), helpers_.end(), [&](const Helper& helper) { return helper.pid == pid; });
}

std::size_t Helpers::index_of(pid_t pid) const {
  std::size_t index = 0;
  while (index < helpers_.size() && helpers_[index].pid != pid) ++index;
  return index;
}

void Helpers::restart(pid_t pid, const std::string& how_it_ended) {
  const auto index = index_of(pid);
  if (index == helpers_.size()) return;
  log_.error("A spawning helper (pid " + std::to_string(pid) + ") " + how_it_ended +
             "; the processes it had started are ended, another helper takes its place.");
  if (auto started = start_one(helpers_[index]); !started) log_.error(started.error().message);
}

void Helpers::add_to(std::vector<pollfd>& polled) const {
  for (const auto& helper : helpers_)
    if (helper.socket) polled.push_back({helper.socket.get(), POLLIN, 0});
}

void Helpers::heard(int fd) {
  for (auto& helper : helpers_) {
    if (helper.socket.get() != fd) continue;
    auto message = net::receive_message(fd);
    if (!message) {
      helper.socket.reset();  // its exit is told by SIGCHLD
      return;
    }
    if (const auto text = process::parse_notice(message->bytes)) log_.warn(std::string(*text));
  }
}

void Helpers::stop() {
  for (auto& helper : helpers_) helper.socket.reset();
}

bool Helpers::gone() const {
  return std::all_of(helpers_.begin(), helpers_.end(), [](const Helper& helper) { return helper.pid < 0; });
}

void Helpers::forget(pid_t pid) {
  for (auto& helper : helpers_)
    if (helper.pid == pid) helper.pid = -1;
}

std::vector<pid_t> Helpers::pids() const {
  std::vector<pid_t> result;
  for (const auto& helper : helpers_)
    if (helper.pid > 0) result.push_back(helper.pid);
  return result;
}

}  // namespace fivefold::app
