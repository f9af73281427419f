#include "process/spawner_client.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <deque>
#include <unordered_map>

#include "net/channel.h"
#include "process/spawn_failure.h"
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
        [weak = weak_from_this(), generation](std::string_view message, std::vector<UniqueFd>) {
          if (const auto self = weak.lock(); self && self->generation_ == generation) self->received(message);
        },
        [weak = weak_from_this(), generation] {
          if (const auto self = weak.lock(); self && self->generation_ == generation)
            self->lost("the spawning helper has ended");
        });
  }
  bool connected() const { return channel_ != nullptr; }
  net::Loop& loop() { return loop_; }

  void lost(std::string_view why);
  void received(std::string_view message);

  // --- spawns
  void start(Pending& pending) {
    pending.id = next_id_++;
    waiting_.push_back(&pending);
    send_waiting();
  }
  void abandon(Pending& pending);

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
  net::Timer flush_timer_;
};

class HelperChild final : public Child {
 public:
  HelperChild(std::shared_ptr<Connection> connection, std::uint64_t id, pid_t pid)
      : connection_(std::move(connection)), id_(id), pid_(pid), exited_(connection_->loop()) {}
  ~HelperChild() override {
    connection_->forget(id_);
    if (!helper_gone_) connection_->release(id_, grace_, !status_);
  }
  pid_t pid() const override { return pid_; }
  const std::optional<ExitStatus>& exit_status() const override { return status_; }
  net::Event& exited() override { return exited_; }
  void signal(int number) override {
    if (!helper_gone_) connection_->signal(id_, number);
  }
  void set_grace(milliseconds grace) override { grace_ = grace; }

  void set_status(const ExitStatus& status, bool helper_gone) {
    helper_gone_ = helper_gone;
    if (status_) return;
    status_ = status;
    exited_.set();
  }

 private:
  std::shared_ptr<Connection> connection_;
  std::uint64_t id_;
  pid_t pid_;
  std::optional<ExitStatus> status_;
  net::Event exited_;
  milliseconds grace_ = kDefaultGrace;
  bool helper_gone_ = false;
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

void Connection::received(std::string_view message) {
  switch (kind_of(message).value_or(MessageKind::notice)) {
    case MessageKind::started: {
      const auto started = read_message<StartedMessage>(message);
      const auto found = started ? sent_.find(started->id) : sent_.end();
      if (found == sent_.end()) break;
      Pending* const pending = found->second;
      sent_.erase(found);
      if (!pending) break;  // its release is on its way
      auto child = std::make_unique<HelperChild>(shared_from_this(), started->id, started->pid);
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
      ExitStatus status;
      if (exited->code == CLD_EXITED)
        status.code = exited->status;
      else
        status.signal = exited->status;
      status.core_dumped = exited->code == CLD_DUMPED;
      status.cpu = std::chrono::microseconds(exited->cpu_microseconds);
      status.peak_memory = exited->peak_memory;
      HelperChild* const child = found->second;
      children_.erase(found);
      child->set_status(status, false);
      break;
    }
    default:
      break;
  }
  if (!waiting_.empty()) send_waiting();
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

// A sealed memfd that holds the body.
Result<UniqueFd> large_body(std::span<const iovec> parts) {
  UniqueFd memfd(::memfd_create("fivefold-spawn", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memfd) return fail_errno(errno, "passing a large environment to the spawning helper", Code::out_of_resources);
  for (const iovec& part : parts) {
    std::size_t done = 0;
    while (done < part.iov_len) {
      const ssize_t bytes = ::write(memfd.get(), static_cast<const char*>(part.iov_base) + done, part.iov_len - done);
      if (bytes < 0 && errno == EINTR) continue;
      if (bytes <= 0)
        return fail_errno(errno, "passing a large environment to the spawning helper", Code::out_of_resources);
      done += static_cast<std::size_t>(bytes);
    }
  }
  if (::fcntl(memfd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
    return fail_errno(errno, "passing a large environment to the spawning helper", Code::out_of_resources);
  return memfd;
}

// True when it is sent or answered (with an error); false when there is no room now.
bool Connection::send(Pending& pending) {
  const SpawnPlan& plan = pending.plan;
  SpawnHeader header;
  header.id = pending.id;
  header.program = plan.program;
  header.executable_size = static_cast<std::uint32_t>(plan.executable.size() + 1);
  header.directory_size = static_cast<std::uint32_t>(plan.directory.size() + 1);
  header.arguments_size = static_cast<std::uint32_t>(plan.arguments.bytes().size());
  header.arguments_count = plan.arguments.count();
  header.environment_size = static_cast<std::uint32_t>(plan.environment.bytes().size());
  header.environment_count = plan.environment.count();
  header.release_count = static_cast<std::uint32_t>(std::min<std::size_t>(releases_.size(), kMaxReleases));
  int fds[4];
  std::size_t fd_count = 0;
  const int streams[3] = {plan.stdin_fd, plan.stdout_fd, plan.stderr_fd};
  for (std::uint32_t stream = 0; stream < 3; ++stream)
    if (streams[stream] >= 0) {
      header.flags |= 1U << stream;
      fds[fd_count++] = streams[stream];
    }
  const auto part = [](std::string_view bytes) { return iovec{const_cast<char*>(bytes.data()), bytes.size()}; };
  const iovec parts[6] = {
      {&header, sizeof header},
      {releases_.data(), header.release_count * sizeof(ReleaseEntry)},
      part({plan.executable.c_str(), plan.executable.size() + 1}),
      part({plan.directory.c_str(), plan.directory.size() + 1}),
      part(plan.arguments.bytes()),
      part(plan.environment.bytes()),
  };
  std::span<const iovec> message(parts);
  UniqueFd memfd;
  const std::size_t body = plan.executable.size() + plan.directory.size() + 2 + plan.arguments.bytes().size() +
                           plan.environment.bytes().size();
  if (body > kMaxInlineBody) {
    auto made = large_body(message.subspan(2));
    if (!made) {
      answer(pending, std::move(made.error()));
      return true;
    }
    memfd = std::move(*made);
    header.flags |= SpawnHeader::kBodyInMemfd;
    fds[fd_count++] = memfd.get();
    message = message.first(2);
  }
  if (auto sent = channel_->send(message, std::span<const int>(fds, fd_count)); !sent) {
    // No room now, or the helper is gone, which closed() will tell: both wait. Anything else is this message's own
    // fault.
    if (sent.error().code == Code::out_of_resources || sent.error().code == Code::closed) return false;
    answer(pending, std::move(sent.error()));
    return true;
  }
  releases_.erase(releases_.begin(), releases_.begin() + header.release_count);
  return true;
}

// What a helper would call malformed, found before it is sent.
Result<void> check(const SpawnPlan& plan) {
  const auto is_path = [](const std::string& path) {
    return path.starts_with('/') && path.find('\0') == std::string::npos;
  };
  if (!is_path(plan.executable))
    return fail(Code::program_failed, "cannot execute \"" + plan.executable + "\": it is not an absolute path");
  if (!is_path(plan.directory))
    return fail(Code::program_failed,
                "cannot start " + plan.executable + " in \"" + plan.directory + "\": it is not an absolute path");
  if (plan.arguments.count() == 0)
    return fail(Code::internal, "cannot execute " + plan.executable + ": not even its name is among its arguments");
  const std::size_t size = plan.executable.size() + plan.directory.size() + 2 + plan.arguments.bytes().size() +
                           plan.environment.bytes().size();
  const auto count_nuls = [](std::string_view bytes) {
    return static_cast<std::size_t>(std::count(bytes.begin(), bytes.end(), '\0'));
  };
  if (count_nuls(plan.arguments.bytes()) != plan.arguments.count() ||
      count_nuls(plan.environment.bytes()) != plan.environment.count())
    return fail(Code::program_failed,
                "cannot execute " + plan.executable + ": an argument or variable holds a NUL character");
  if (size > kMaxBody || plan.arguments.count() > kMaxStrings || plan.environment.count() > kMaxStrings)
    return fail(Code::program_failed,
                "cannot execute " + plan.executable + ": its arguments and environment are too large");
  return {};
}

// Lets a spawn go that its caller has let go of.
struct AbandonAtEnd {
  Connection& connection;
  Pending& pending;
  ~AbandonAtEnd() { connection.abandon(pending); }
};

net::Task<Result<std::unique_ptr<Child>>> run_spawn(std::shared_ptr<Connection> connection, SpawnPlan plan) {
  if (auto good = check(plan); !good) co_return std::unexpected(std::move(good.error()));
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
