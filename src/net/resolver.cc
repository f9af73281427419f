#include "net/resolver.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <list>
#include <mutex>
#include <unordered_map>

#include "base/unique_fd.h"
#include "net/name_lookup.h"

namespace fivefold::net {
namespace {

using std::chrono::milliseconds;
using Addresses = std::vector<SocketAddress>;
using Outcome = std::shared_ptr<const Result<Addresses>>;

constexpr milliseconds kLookAgain{50};     // when the machine had no descriptor left for being woken
constexpr std::size_t kLongestName = 253;  // RFC 1035 section 2.3.4, as text

// Somebody who awaits an answer on a loop. `loop` and `outcome` are guarded by the resolver's mutex, `awaiting` belongs
// to the loop.
struct Waiter {
  Loop* loop;  // null once it is let go of
  Outcome outcome;
  std::coroutine_handle<> awaiting;
};

struct Entry {
  Outcome answer;  // the last one that held addresses
  TimePoint ends{};
  Outcome failure;  // when the last lookup failed
  TimePoint failed{};
  TimePoint used{};
  bool asking = false;
  std::vector<std::shared_ptr<Waiter>> waiters;
};

// Letters, digits and what else occurs in names; nothing that would be cut, escaped or logged strangely.
bool is_name(const std::string& host) {
  if (host.empty() || host.size() > kLongestName + 1) return false;
  return std::ranges::all_of(host, [](unsigned char c) { return c > ' ' && c < 0x7f && c != '\\'; });
}

}  // namespace

struct Resolver::State {
  State(BlockingPool& p, ResolverSettings s)
      : pool(p), settings(std::move(s)), wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  TimePoint now() const { return settings.now ? settings.now() : Clock::now(); }

  // An outcome that serves now, or null: then `waiter` will be resumed with one.
  Outcome find_or_wait(const std::shared_ptr<State>& self, const std::string& host,
                       const std::shared_ptr<Waiter>& waiter);
  Outcome serving_now(const Entry& entry, TimePoint at) const;
  void ask(const std::shared_ptr<State>& self, const std::string& host, Entry& entry);
  bool make_room();
  void work();
  bool start_lookups(std::list<NameLookup>& lookups);
  void finish(const NameLookup& lookup);
  void signal() const {
    const std::uint64_t one = 1;
    (void)!::write(wake.get(), &one, sizeof one);
  }

  BlockingPool& pool;
  const ResolverSettings settings;
  const UniqueFd wake;  // the working thread looks again
  std::mutex mutex;     // guards all that follows
  std::unordered_map<std::string, Entry> entries;
  std::deque<std::string> asked;  // and not yet begun
  bool working = false;           // a pool thread is at it
  bool stopping = false;
};

Outcome Resolver::State::serving_now(const Entry& entry, TimePoint at) const {
  if (entry.answer) {
    if (at < entry.ends) return entry.answer;
    if (at < entry.ends + kStale && at < std::max(entry.ends, entry.failed) + kGrace) return entry.answer;
  }
  if (entry.failure && at < entry.failed + kFailureLife) return entry.failure;
  return nullptr;
}

// Forgets the name longest unused, once there are too many. False: all of them are being asked.
bool Resolver::State::make_room() {
  if (entries.size() < kMostNames) return true;
  auto oldest = entries.end();
  for (auto it = entries.begin(); it != entries.end(); ++it)
    if (!it->second.asking && (oldest == entries.end() || it->second.used < oldest->second.used)) oldest = it;
  if (oldest == entries.end()) return false;
  entries.erase(oldest);
  return true;
}

Outcome Resolver::State::find_or_wait(const std::shared_ptr<State>& self, const std::string& host,
                                      const std::shared_ptr<Waiter>& waiter) {
  const TimePoint at = now();
  const std::lock_guard lock(mutex);
  auto found = entries.find(host);
  if (found == entries.end()) {
    if (!make_room())
      return std::make_shared<const Result<Addresses>>(
          fail(Code::program_unavailable, fmt::format("{}: too many names are being looked up", host)));
    found = entries.emplace(host, Entry{}).first;
  }
  Entry& entry = found->second;
  entry.used = at;
  const bool fresh = entry.answer && at < entry.ends;
  const bool just_failed = entry.failure && at < entry.failed + kFailureLife;
  Outcome outcome = serving_now(entry, at);
  if (!fresh && !just_failed && !entry.asking) ask(self, host, entry);
  if (!outcome) entry.waiters.push_back(waiter);
  return outcome;
}

void Resolver::State::ask(const std::shared_ptr<State>& self, const std::string& host, Entry& entry) {
  entry.asking = true;
  asked.push_back(host);
  if (working) {
    signal();
    return;
  }
  working = true;
  pool.submit([self] { self->work(); });
}

// Begins what has been asked. False when there is nothing left to do: this thread's work is over.
bool Resolver::State::start_lookups(std::list<NameLookup>& lookups) {
  while (lookups.size() < kMostAtOnce) {
    std::string host;
    {
      const std::lock_guard lock(mutex);
      if (stopping) return false;
      if (asked.empty()) {
        if (!lookups.empty()) return true;
        working = false;
        return false;
      }
      host = std::move(asked.front());
      asked.pop_front();
    }
    lookups.emplace_back(std::move(host), settings.servers, settings.timeout);
  }
  const std::lock_guard lock(mutex);
  return !stopping;
}

void Resolver::State::work() {
  std::list<NameLookup> lookups;
  std::vector<pollfd> descriptors;
  while (start_lookups(lookups)) {
    descriptors.assign(1, pollfd{wake.get(), POLLIN, 0});
    milliseconds wait = wake ? settings.timeout : kLookAgain;
    for (NameLookup& lookup : lookups) lookup.prepare(descriptors, wait);
    if (::poll(descriptors.data(), descriptors.size(), static_cast<int>(wait.count())) < 0)
      for (pollfd& descriptor : descriptors) descriptor.revents = 0;
    std::uint64_t ignored = 0;
    (void)!::read(wake.get(), &ignored, sizeof ignored);
    lookups.remove_if([&](NameLookup& lookup) {
      lookup.proceed(descriptors);
      if (!lookup.result()) return false;
      finish(lookup);
      return true;
    });
  }
}

void Resolver::State::finish(const NameLookup& lookup) {
  const TimePoint at = now();
  const Result<NameAnswer>& result = *lookup.result();
  const std::lock_guard lock(mutex);
  const auto found = entries.find(lookup.host());
  if (found == entries.end()) return;
  Entry& entry = found->second;
  entry.asking = false;
  if (result) {
    entry.answer = std::make_shared<const Result<Addresses>>(result->addresses);
    entry.ends = at + std::clamp(result->life, kShortestLife, kLongestLife);
    entry.failure = nullptr;
  } else {
    entry.failure = std::make_shared<const Result<Addresses>>(std::unexpected(result.error()));
    entry.failed = at;
    if (at >= entry.ends + kStale) entry.answer = nullptr;
  }
  const Outcome outcome = entry.answer ? entry.answer : entry.failure;
  // Posted under the lock: a waiter that lets go takes it too, so its loop is still there.
  for (const auto& waiter : entry.waiters) {
    if (!waiter->loop) continue;
    waiter->outcome = outcome;
    waiter->loop->post([waiter] {
      if (waiter->awaiting) std::exchange(waiter->awaiting, nullptr).resume();
    });
  }
  entry.waiters.clear();
}

Resolver::Resolver(BlockingPool& pool, ResolverSettings settings)
    : state_(std::make_shared<State>(pool, std::move(settings))) {}

Resolver::~Resolver() {
  const std::lock_guard lock(state_->mutex);
  state_->stopping = true;
  state_->signal();
}

namespace {

// co_await Answer: suspends unless an outcome serves now.
template <class State>
class [[nodiscard]] Answer {
 public:
  Answer(std::shared_ptr<State> state, Loop& loop, const std::string& host)
      : state_(std::move(state)), host_(host), waiter_(std::make_shared<Waiter>(&loop)) {}
  Answer(const Answer&) = delete;
  ~Answer() {
    waiter_->awaiting = nullptr;
    const std::lock_guard lock(state_->mutex);
    waiter_->loop = nullptr;
  }
  bool await_ready() const { return false; }
  bool await_suspend(std::coroutine_handle<> awaiting) {
    waiter_->awaiting = awaiting;
    now_ = state_->find_or_wait(state_, host_, waiter_);
    return !now_;
  }
  Outcome await_resume() {
    if (now_) return now_;
    const std::lock_guard lock(state_->mutex);
    return waiter_->outcome;
  }

 private:
  std::shared_ptr<State> state_;
  const std::string& host_;
  std::shared_ptr<Waiter> waiter_;
  Outcome now_;
};

}  // namespace

Task<Result<std::vector<SocketAddress>>> Resolver::resolve(Loop& loop, std::string host, std::uint16_t port) {
  if (const auto address = SocketAddress::numeric(host, port)) co_return Addresses{*address};
  if (!is_name(host)) co_return fail(Code::program_unavailable, fmt::format("\"{}\" is not the name of a host", host));
  for (char& c : host)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  const Outcome outcome = co_await Answer<State>(state_, loop, host);
  if (!*outcome) co_return std::unexpected(outcome->error());
  Addresses addresses = **outcome;
  for (SocketAddress& address : addresses) {
    // The port lies at the same place of both families.
    static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
    reinterpret_cast<sockaddr_in&>(address.storage).sin_port = htons(port);
  }
  co_return addresses;
}

}  // namespace fivefold::net
