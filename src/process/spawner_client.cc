#include "process/spawner_client.h"

#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <unordered_map>

#include "net/channel.h"
#include "process/spawn_failure.h"
#include "process/spawn_message.h"
#include "process/spawn_protocol.h"

namespace fivefold::process {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kDefaultGrace{3000};
constexpr milliseconds kStartTime{30000};    // a start that the helper has not answered by then has failed
constexpr milliseconds kFlushDelay{50};      // until releases and messages that found no room are sent (again)
constexpr std::size_t kSpawnWindow = 16;     // starts that the helper has not answered; more wait here
constexpr std::size_t kReleasesAtOnce = 32;  // collected, then sent without waiting for a start to go with

class HelperChild;

// One spawn() between its first step and its end; lives in the coroutine's frame.
struct Pending {
  enum class State { waiting, sent, answered };
  Pending(net::Loop& loop, const SpawnPlan& p) : plan(p), answered(loop) {}
  const SpawnPlan& plan;
  std::uint64_t id = 0;
  State state = State::waiting;
  std::unique_ptr<Child> child;
  Error error;
  net::Event answered;
};

// Shared by the client and its children, who may outlive it.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  explicit Connection(net::Loop& loop)
      : loop_(loop), flush_timer_(loop.timers(), [](void* self) { static_cast<Connection*>(self)->flush(); }, this) {}

  void connect(UniqueFd socket) {
    lost("the spawning helper was replaced");
    if (!socket) return;
    const std::uint64_t generation = ++generation_;
    channel_ = std::make_unique<net::Channel>(
        loop_, std::move(socket),
        [weak = weak_from_this(), generation](std::string_view message, std::vector<UniqueFd> fds) {
          if (const auto self = weak.lock(); self && self->generation_ == generation)
            self->received(message, std::move(fds));
        },
        [weak = weak_from_this(), generation] {
          if (const auto self = weak.lock(); self && self->generation_ == generation)
            self->lost("the spawning helper has ended");
        });
    if (adopted_) send_small(bytes_of(AdoptMessage{}));
  }
  bool connected() const { return channel_ != nullptr; }
  net::Loop& loop() { return loop_; }

  void lost(std::string_view why);
  void received(std::string_view message, std::vector<UniqueFd> fds);

  // --- spawns
  void start(Pending& pending) {
    pending.id = next_id_++;
    waiting_.push_back(&pending);
    send_waiting();
  }
  void abandon(Pending& pending);

  // --- kept processes
  // Asked for again of each new helper.
  void adopt(Spawner::Adopted adopted) {
    adopted_ = std::move(adopted);
    if (adopted_) send_small(bytes_of(AdoptMessage{}));
  }
  void disown(std::uint64_t id) {
    DisownMessage message;
    message.id = id;
    send_small(bytes_of(message));
  }

  // --- children
  void forget(std::uint64_t id) { children_.erase(id); }
  void signal(std::uint64_t id, int number) {
    SignalMessage message;
    message.number = number;
    message.id = id;
    send_small(bytes_of(message));
  }
  // At once for a process that lives; soon for one that only has to be reaped.
  void release(std::uint64_t id, milliseconds grace, bool at_once) {
    if (!channel_) return;
    ReleaseEntry entry;
    entry.id = id;
    entry.grace_milliseconds =
        static_cast<std::uint32_t>(std::clamp<std::int64_t>(grace.count(), 0, kMaxGraceMilliseconds));
    releases_.push_back(entry);
    if (at_once || releases_.size() >= kReleasesAtOnce)
      flush();
    else
      arm();
  }

 private:
  void arm() {
    if (!flush_timer_.armed()) flush_timer_.set(loop_.now() + kFlushDelay);
  }
  void flush();
  void on_adopted(std::string_view message, std::vector<UniqueFd> fds);
  void send_waiting();
  bool send(Pending& pending);
  void send_small(std::string_view message) {
    if (!channel_) return;
    if (unsent_.empty() && channel_->send(message)) return;
    unsent_.emplace_back(message);
    arm();
  }
  void answer(Pending& pending, Error error) {
    pending.state = Pending::State::answered;
    pending.error = std::move(error);
    pending.answered.set();
  }

  net::Loop& loop_;
  std::unique_ptr<net::Channel> channel_;
  std::uint64_t generation_ = 0;
  std::uint64_t next_id_ = 1;
  std::deque<Pending*> waiting_;                              // not sent yet
  std::unordered_map<std::uint64_t, Pending*> sent_;          // sent, not answered; nullptr: abandoned
  std::unordered_map<std::uint64_t, HelperChild*> children_;  // that have not exited
  std::vector<ReleaseEntry> releases_;
  std::deque<std::string> unsent_;
  Spawner::Adopted adopted_;
  net::Timer flush_timer_;
};

class HelperChild final : public Child {
 public:
  HelperChild(std::shared_ptr<Connection> connection, std::uint64_t id, pid_t pid, bool kept)
      : connection_(std::move(connection)), id_(id), pid_(pid), kept_(kept), exited_(connection_->loop()) {}
  ~HelperChild() override {
    connection_->forget(id_);
    if (!not_ours_) connection_->release(id_, grace_, !status_);
  }
  // To be let go of after that, which then ends it no more; one that is not kept is ended then all the same.
  void disown() {
    if (!kept_ || not_ours_) return;
    connection_->disown(id_);
    not_ours_ = true;
  }
  pid_t pid() const override { return pid_; }
  const std::optional<ExitStatus>& exit_status() const override { return status_; }
  net::Event& exited() override { return exited_; }
  void signal(int number) override {
    if (!not_ours_) connection_->signal(id_, number);
  }
  void set_grace(milliseconds grace) override { grace_ = grace; }

  void set_status(const ExitStatus& status, bool helper_gone) {
    not_ours_ = helper_gone;
    if (status_) return;
    status_ = status;
    exited_.set();
  }

 private:
  std::shared_ptr<Connection> connection_;
  std::uint64_t id_;
  pid_t pid_;
  bool kept_;
  std::optional<ExitStatus> status_;
  net::Event exited_;
  milliseconds grace_ = kDefaultGrace;
  bool not_ours_ = false;  // the helper has gone, or the process was disowned
};

void Connection::lost(std::string_view why) {
  ++generation_;
  channel_.reset();
  flush_timer_.cancel();
  releases_.clear();
  unsent_.clear();
  const auto waiting = std::exchange(waiting_, {});
  const auto sent = std::exchange(sent_, {});
  const auto children = std::exchange(children_, {});
  const std::string message = "no process can be started: " + std::string(why);
  for (Pending* pending : waiting) answer(*pending, Error{Code::program_unavailable, message, kRetryAfterSeconds});
  for (const auto& [id, pending] : sent)
    if (pending) answer(*pending, Error{Code::program_unavailable, message, kRetryAfterSeconds});
  ExitStatus killed;
  killed.signal = SIGKILL;
  for (const auto& [id, child] : children) child->set_status(killed, true);
}

ExitStatus exit_status_of(const ExitedMessage& exited) {
  ExitStatus status;
  if (exited.code == CLD_EXITED)
    status.code = exited.status;
  else
    status.signal = exited.status;
  status.core_dumped = exited.code == CLD_DUMPED;
  status.cpu = std::chrono::microseconds(exited.cpu_microseconds);
  status.peak_memory = exited.peak_memory;
  return status;
}

void Connection::received(std::string_view message, std::vector<UniqueFd> fds) {
  switch (kind_of(message).value_or(MessageKind::notice)) {
    case MessageKind::started: {
      const auto started = read_message<StartedMessage>(message);
      const auto found = started ? sent_.find(started->id) : sent_.end();
      if (found == sent_.end()) break;
      Pending* const pending = found->second;
      sent_.erase(found);
      if (!pending) break;  // its release is on its way
      auto child =
          std::make_unique<HelperChild>(shared_from_this(), started->id, started->pid, !pending->plan.keep.empty());
      children_.emplace(started->id, child.get());
      pending->child = std::move(child);
      pending->state = Pending::State::answered;
      pending->answered.set();
      break;
    }
    case MessageKind::failed: {
      const auto failed = read_message<FailedMessage>(message);
      const auto found = failed ? sent_.find(failed->id) : sent_.end();
      if (found == sent_.end()) break;
      Pending* const pending = found->second;
      sent_.erase(found);
      if (pending) answer(*pending, spawn_failure(failed->step, failed->error, pending->plan));
      break;
    }
    case MessageKind::exited: {
      const auto exited = read_message<ExitedMessage>(message);
      const auto found = exited ? children_.find(exited->id) : children_.end();
      if (found == children_.end()) break;
      HelperChild* const child = found->second;
      children_.erase(found);
      child->set_status(exit_status_of(*exited), false);
      break;
    }
    case MessageKind::adopted:
      on_adopted(message, std::move(fds));
      break;
    default:
      break;
  }
  if (!waiting_.empty()) send_waiting();
}

void Connection::on_adopted(std::string_view message, std::vector<UniqueFd> fds) {
  AdoptedMessage adopted;
  std::string_view keep;
  if (!parse_adopted(message, adopted, keep)) return;
  auto child = std::make_unique<HelperChild>(shared_from_this(), adopted.id, adopted.pid, true);
  if (adopted.has_exited)
    child->set_status(exit_status_of(adopted.exit), false);
  else
    children_.emplace(adopted.id, child.get());
  KeptProcess process{std::string(keep), milliseconds(adopted.age_milliseconds), std::move(child), std::move(fds)};
  const auto taker = adopted_;  // which may ask for another meanwhile
  if (taker) taker(std::move(process));
}

void Connection::abandon(Pending& pending) {
  if (pending.state == Pending::State::waiting) std::erase(waiting_, &pending);
  if (pending.state == Pending::State::sent) {
    sent_[pending.id] = nullptr;
    release(pending.id, kDefaultGrace, true);
  }
}

void Connection::flush() {
  if (!channel_) return;
  while (!unsent_.empty()) {
    if (!channel_->send(unsent_.front())) return arm();
    unsent_.pop_front();
  }
  while (!releases_.empty()) {
    ReleaseHeader header;
    header.release_count = static_cast<std::uint32_t>(std::min<std::size_t>(releases_.size(), kMaxReleases));
    const iovec parts[2] = {{&header, sizeof header}, {releases_.data(), header.release_count * sizeof(ReleaseEntry)}};
    if (!channel_->send(std::span<const iovec>(parts))) return arm();
    releases_.erase(releases_.begin(), releases_.begin() + header.release_count);
  }
  send_waiting();
}

void Connection::send_waiting() {
  while (channel_ && !waiting_.empty() && unsent_.empty() && sent_.size() < kSpawnWindow) {
    Pending* const pending = waiting_.front();
    if (!send(*pending)) return arm();
    waiting_.pop_front();
    if (pending->state == Pending::State::answered) continue;
    pending->state = Pending::State::sent;
    sent_.emplace(pending->id, pending);
  }
}

// True when it is sent or answered (with an error); false when there is no room now.
bool Connection::send(Pending& pending) {
  const auto releases = std::span(releases_).first(std::min<std::size_t>(releases_.size(), kMaxReleases));
  SpawnMessage message;
  if (auto made = message.make(pending.plan, pending.id, releases); !made) {
    answer(pending, std::move(made.error()));
    return true;
  }
  if (auto sent = channel_->send(message.parts(), message.fds()); !sent) {
    // No room now, or the helper is gone, which closed() will tell: both wait. Anything else is this message's own
    // fault.
    if (sent.error().code == Code::out_of_resources || sent.error().code == Code::closed) return false;
    answer(pending, std::move(sent.error()));
    return true;
  }
  releases_.erase(releases_.begin(), releases_.begin() + static_cast<std::ptrdiff_t>(releases.size()));
  return true;
}

// Lets a spawn go that its caller has let go of.
struct AbandonAtEnd {
  Connection& connection;
  Pending& pending;
  ~AbandonAtEnd() { connection.abandon(pending); }
};

net::Task<Result<std::unique_ptr<Child>>> run_spawn(std::shared_ptr<Connection> connection, SpawnPlan plan) {
  if (auto good = check_plan(plan); !good) co_return std::unexpected(std::move(good.error()));
  if (!connection->connected())
    co_return fail(Code::program_unavailable,
                   "no process can be started: the spawning helper has ended and is being started again",
                   kRetryAfterSeconds);
  Pending pending(connection->loop(), plan);
  const AbandonAtEnd guard{*connection, pending};
  connection->start(pending);
  net::Timer give_up(
      connection->loop().timers(),
      [](void* waiting) {
        auto& late = *static_cast<Pending*>(waiting);
        if (late.answered.is_set()) return;
        late.error = {Code::program_unavailable, "no process can be started: the spawning helper does not answer",
                      kRetryAfterSeconds};
        late.answered.set();
      },
      &pending);
  give_up.set(connection->loop().now() + kStartTime);
  co_await pending.answered.wait();
  if (!pending.child) co_return std::unexpected(std::move(pending.error));
  co_return std::move(pending.child);
}

class Client final : public SpawnerClient {
 public:
  Client(net::Loop& loop, UniqueFd socket) : connection_(std::make_shared<Connection>(loop)) {
    connection_->connect(std::move(socket));
  }
  ~Client() override { connection_->lost("the server is stopping"); }
  net::Task<Result<std::unique_ptr<Child>>> spawn(SpawnPlan plan) override {
    return run_spawn(connection_, std::move(plan));
  }
  void adopt(Adopted adopted) override { connection_->adopt(std::move(adopted)); }
  void disown(std::unique_ptr<Child> child) override {
    if (auto* const ours = dynamic_cast<HelperChild*>(child.get())) ours->disown();
  }
  bool connected() const override { return connection_->connected(); }
  void reconnect(UniqueFd socket) override { connection_->connect(std::move(socket)); }

 private:
  std::shared_ptr<Connection> connection_;
};

}  // namespace

std::unique_ptr<SpawnerClient> make_spawner_client(net::Loop& loop, UniqueFd socket) {
  return std::make_unique<Client>(loop, std::move(socket));
}

}  // namespace fivefold::process
