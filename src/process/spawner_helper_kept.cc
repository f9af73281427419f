// Kept processes (SpawnPlan::keep): they outlive the client that started them, and wait for one that adopts them.
#include <algorithm>
#include <string>
#include <utility>

#include "process/spawner_helper.h"

namespace fivefold::process {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kOfferAgain{10};  // until an adopter that had no room is asked again

}  // namespace

void SpawnerHelper::adopt(HelperClient& client) {
  adopter_ = client.token();
  for (Unowned& each : unowned_)
    if (each.former_client == client.token()) each.former_client = 0;
  offer_unowned();
}

// False when malformed.
bool SpawnerHelper::disown(HelperClient& client, std::string_view message) {
  const auto disowned = read_message<DisownMessage>(message);
  if (!disowned || message.size() != sizeof *disowned) return false;
  const auto found = client.processes.find(disowned->id);
  if (found == client.processes.end()) return true;
  const std::uint64_t token = found->second;
  client.processes.erase(found);
  if (processes_.kept(token)) {
    now_unowned(token, client.token());
    offer_unowned();
  } else {
    processes_.release(token, limits_.unowned_grace);
  }
  return true;
}

void SpawnerHelper::now_unowned(std::uint64_t process_token, std::uint64_t former_client) {
  processes_.belongs_to(process_token, 0, 0);
  unowned_.push_back({process_token, former_client, Clock::now() + limits_.unowned});
}

// To the adopter as many as it has room for; the others wait.
void SpawnerHelper::offer_unowned() {
  const auto adopter = clients_.find(adopter_);
  if (adopter == clients_.end()) return;
  for (auto each = unowned_.begin(); each != unowned_.end();) {
    if (each->former_client == adopter_) {
      ++each;
    } else if (give(adopter->second, each->process)) {
      each = unowned_.erase(each);
    } else {
      offer_at_ = Clock::now() + kOfferAgain;
      return;
    }
  }
}

bool SpawnerHelper::give(HelperClient& client, std::uint64_t process_token) {
  const Kept& kept = *processes_.kept(process_token);
  AdoptedMessage adopted;
  adopted.pid = processes_.pid(process_token);
  adopted.id = next_adopted_id_;
  adopted.age_milliseconds =
      static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(Clock::now() - kept.started).count());
  adopted.keep_size = static_cast<std::uint32_t>(kept.text.size());
  adopted.kept_count = static_cast<std::uint32_t>(kept.fds.size());
  if (kept.exit) {
    adopted.has_exited = 1;
    adopted.exit = *kept.exit;
    adopted.exit.id = adopted.id;
  }
  int fds[SpawnPlan::kMostKept];
  std::size_t count = 0;
  for (const UniqueFd& fd : kept.fds) fds[count++] = fd.get();
  if (!client.try_send(std::string(bytes_of(adopted)) + kept.text, std::span<const int>(fds, count))) return false;
  client.processes.emplace(adopted.id, process_token);
  processes_.belongs_to(process_token, client.token(), adopted.id);
  ++next_adopted_id_;
  return true;
}

void SpawnerHelper::end_unowned() {
  const auto now = Clock::now();
  while (!unowned_.empty() && unowned_.front().end_at <= now) {
    processes_.release(unowned_.front().process, limits_.unowned_grace);
    unowned_.pop_front();
  }
}

// Until one is to be ended or offered again. Only when there are any.
milliseconds SpawnerHelper::unowned_timeout() const {
  auto due = unowned_.front().end_at;
  const auto now = Clock::now();
  if (offer_at_ > now) due = std::min(due, offer_at_);
  return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(due - now));
}

}  // namespace fivefold::process
