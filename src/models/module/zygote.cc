#include "models/module/zygote.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "base/text.h"
#include "net/short_timer.h"

namespace fivefold::models::module {
namespace {

using gateway::worker::Control;
using gateway::worker::ControlHeader;

constexpr std::size_t kTail = 4096;  // of the output, for the diagnosis of a failed start

struct Pair {
  UniqueFd ours, theirs;
};

Result<Pair> make_control() {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) != 0)
    return fail_errno(errno, "making a socket for a zygote", Code::out_of_resources);
  return Pair{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

Result<Pair> make_pipe() {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0)
    return fail_errno(errno, "making a pipe for a zygote", Code::out_of_resources);
  return Pair{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

// A status as of waitpid(2).
process::ExitStatus from_wait(int status) {
  process::ExitStatus exit;
  if (WIFSIGNALED(status)) {
    exit.signal = WTERMSIG(status);
    exit.core_dumped = WCOREDUMP(status);
  } else {
    exit.code = WEXITSTATUS(status);
  }
  return exit;
}

}  // namespace

struct Zygote::Output {
  Output(net::Loop& loop, UniqueFd fd, LineFile& log, std::string_view program)
      : stream(loop, std::move(fd), kOutputBuffer, kLargestOutputBuffer), lines(log, program, "workers") {}
  net::Stream stream;
  process::OutputLines lines;
  net::Running reader;
};

// A fork that has been asked for.
struct Zygote::Pending {
  Pending(Zygote& owner, std::uint32_t number) : zygote(owner), id(number), decided(owner.home_) {
    zygote.pending_[id] = this;
  }
  ~Pending() { zygote.pending_.erase(id); }
  Zygote& zygote;
  std::uint32_t id;
  net::Event decided;
  std::optional<Worker> worker;
  std::string refusal;
};

Zygote::Zygote(net::Loop& home, LineFile& log, std::string program)
    : home_(home),
      log_(log),
      program_(std::move(program)),
      news_(home),
      orphan_timer_(home.timers(), &Zygote::look_for_orphans, this) {}

Zygote::~Zygote() {
  end_watch_ = {};
  exit_watch_ = {};
  control_.reset();  // it ends its workers and itself
  for (auto& output : outputs_) {
    output->reader = {};
    output->lines.finish();
  }
}

net::Task<Result<void>> Zygote::start(process::Spawner& spawner, process::SpawnPlan plan,
                                      std::chrono::milliseconds timeout, StartStory& story) {
  struct Telling {
    StartStory*& place;
    ~Telling() { place = nullptr; }
  } const telling{story_};
  story_ = &story;
  const auto deadline = home_.now() + timeout;
  auto control = make_control();
  if (!control) co_return std::unexpected(std::move(control.error()));
  auto out = make_pipe();
  if (!out) co_return std::unexpected(std::move(out.error()));
  auto err = make_pipe();
  if (!err) co_return std::unexpected(std::move(err.error()));
  plan.stdout_fd = out->theirs.get();
  plan.stderr_fd = err->theirs.get();
  plan.extra_fds = {control->theirs.get()};
  auto child = co_await spawner.spawn(std::move(plan));
  if (!child) co_return std::unexpected(std::move(child.error()));
  child_ = std::move(*child);
  story.step("spawned", "pid " + std::to_string(child_->pid()));
  out->theirs.reset();
  err->theirs.reset();
  control->theirs.reset();
  for (auto* fd : {&out->ours, &err->ours}) {
    auto& added = outputs_.emplace_back(std::make_unique<Output>(home_, std::move(*fd), log_, program_));
    added->lines.set_pid(child_->pid());
    ++open_outputs_;
    added->reader = net::Running(read_output(*added));
  }
  control_ = std::make_unique<net::Channel>(
      home_, std::move(control->ours),
      [this](std::string_view message, std::vector<UniqueFd> fds) { heard(message, std::move(fds)); },
      [this] { control_closed(); });
  exit_watch_ = net::Running(watch_exit());

  net::Timer timer(home_.timers(), [](void* event) { static_cast<net::Event*>(event)->set(); }, &news_);
  timer.set(deadline);
  co_await news_.wait();
  if (ready_) co_return Result<void>();
  if (!gone_ && !exit_ && home_.now() >= deadline)
    co_return fail(Code::program_failed, "the interpreter was not ready within its start_timeout of " +
                                             std::to_string(timeout.count()) + " ms");
  // Its status and its last words may come a moment later than its end.
  for (const auto until = home_.now() + kLastOutput; (!exit_ || open_outputs_ > 0) && home_.now() < until;)
    co_await net::sleep_until(home_, home_.now() + std::chrono::milliseconds(1));
  co_return fail(Code::program_failed,
                 "the interpreter " + (exit_ ? process::in_words(*exit_) : "ended") + " before it was ready");
}

net::Task<Result<Zygote::Worker>> Zygote::fork(std::uint32_t id, unsigned channels) {
  const auto self = shared_from_this();
  if (!alive()) co_return fail(Code::program_failed, "the interpreter has ended");
  Pending pending(*this, id);
  auto claims = upstream::WorkerClaims::make();
  if (!claims) co_return std::unexpected(std::move(claims.error()));
  // What comes from here on may be this worker's last words, or those of one that was forked a moment ago.
  if (home_.now() - last_fork_ > kLastWords) tail_.clear();
  last_fork_ = home_.now();
  const int page = (*claims)->fd().get();
  tell(Control::fork, id, static_cast<std::int32_t>(channels), {&page, 1});
  (*claims)->close_fd();
  co_await pending.decided.wait();
  if (!pending.worker) co_return fail(Code::program_failed, pending.refusal);
  pending.worker->claims = std::move(*claims);
  co_return std::move(*pending.worker);
}

void Zygote::tell(Control kind, std::uint32_t id, std::int32_t value, std::span<const int> fds) {
  if (!control_) return;
  const ControlHeader header{.kind = kind, .id = id, .value = value};
  (void)control_->send({reinterpret_cast<const char*>(&header), sizeof header}, fds);  // its end is heard of otherwise
}

// It runs somebody's code: what it says is checked, and costs this program alone.
void Zygote::heard(std::string_view message, std::vector<UniqueFd> fds) {
  ControlHeader header;
  if (message.size() < sizeof header) return;
  std::memcpy(&header, message.data(), sizeof header);
  const auto text = message.substr(sizeof header).substr(0, gateway::worker::kMostText);
  switch (header.kind) {
    case Control::ready:
      if (std::exchange(ready_, true)) return;
      version_ = printable(text, 100);
      tail_.clear();
      news_.set();
      return;
    case Control::started:
      return started(header.id, header.value, std::move(fds));
    case Control::exited:
      if (const auto found = workers_.find(header.id); found != workers_.end())
        found->second->set_exit(from_wait(header.value));
      return;
    case Control::refused:
      if (const auto found = pending_.find(header.id); found != pending_.end()) {
        found->second->refusal =
            "the zygote cannot fork a worker: " + printable(text, 200) + ": " + errno_text(header.value);
        found->second->decided.set();
      }
      return;
    default:
      return;
  }
}

void Zygote::started(std::uint32_t id, pid_t pid, std::vector<UniqueFd> fds) {
  const auto found = pending_.find(id);
  if (found == pending_.end() || pid <= 0) return tell(Control::signal, id, SIGKILL);  // nobody waits for it any more
  found->second->worker =
      Worker{std::make_unique<WorkerChild>(shared_from_this(), home_, id, pid), std::move(fds), nullptr};
  found->second->decided.set();
}

net::Task<void> Zygote::watch_exit() {
  co_await child_->exited().wait();
  exit_ = child_->exit_status();
  if (!ready_) news_.set();
}

void Zygote::control_closed() {
  // From within the channel's own callback: it is destroyed at the top of the loop.
  home_.post([keep = std::shared_ptr<net::Channel>(std::move(control_))] {});
  gone_ = true;
  for (auto& [id, pending] : pending_) {
    pending->refusal = "the zygote has ended";
    pending->decided.set();
  }
  if (!ready_) return news_.set();
  watch_orphans();
  end_watch_ = net::Running(tell_end());
}

// How it ended is known a moment later.
net::Task<void> Zygote::tell_end() {
  for (const auto until = home_.now() + kLastOutput; !exit_ && home_.now() < until;)
    co_await net::sleep_until(home_, home_.now() + std::chrono::milliseconds(1));
  // Whoever hears of it may let go of this.
  if (ended_)
    home_.post([callback = std::exchange(ended_, {}), how = exit_ ? process::in_words(*exit_) : std::string("ended")] {
      callback(how);
    });
}

// Its workers go on with what they do. Nobody reaps them for us any more, so each is watched by its pidfd.
void Zygote::watch_orphans() {
  for (auto& [id, worker] : workers_)
    if (!worker->exit_) worker->orphan_.reset(static_cast<int>(::syscall(SYS_pidfd_open, worker->pid_, 0)));
  orphan_timer_.set(home_.now() + kOrphanLook);
}

void Zygote::look_for_orphans(void* context) {
  auto& self = *static_cast<Zygote*>(context);
  bool any = false;
  for (auto& [id, worker] : self.workers_) {
    if (worker->exit_) continue;
    pollfd state{worker->orphan_.get(), POLLIN, 0};
    if (!worker->orphan_ || ::poll(&state, 1, 0) == 1)
      worker->set_exit({.code = 0});
    else
      any = true;
  }
  if (any) self.orphan_timer_.set(self.home_.now() + kOrphanLook);
}

void Zygote::signal(std::uint32_t id, int number) { tell(Control::signal, id, number); }

net::Task<void> Zygote::read_output(Output& output) {
  while (true) {
    const auto got = co_await output.stream.fill();
    if (!got || *got == 0) break;
    const auto bytes = output.stream.buffered();
    if (story_) story_->output(bytes);
    tail_.append(bytes.substr(0, kTail));
    if (tail_.size() > kTail) tail_.erase(0, tail_.size() - kTail);
    output.lines.take(bytes, home_.now());
    output.stream.consume(bytes.size());
  }
  output.lines.finish();
  --open_outputs_;
}

// ---- WorkerChild ----

WorkerChild::WorkerChild(std::shared_ptr<Zygote> zygote, net::Loop& home, std::uint32_t id, pid_t pid)
    : zygote_(std::move(zygote)), id_(id), pid_(pid), exited_(home) {
  zygote_->workers_[id] = this;
}

WorkerChild::~WorkerChild() {
  zygote_->workers_.erase(id_);
  if (!exit_) signal(SIGKILL);
}

void WorkerChild::set_exit(process::ExitStatus status) {
  if (exit_) return;
  exit_ = status;
  exited_.set();
}

void WorkerChild::signal(int number) {
  if (exit_) return;
  if (zygote_->control_) return zygote_->signal(id_, number);
  if (number != SIGTERM && number != SIGKILL) return;
  if (leave_) leave_();
  // What does not leave is ended with the rest of the zygote's process group.
  if (number == SIGKILL) zygote_->child_.reset();
}

}  // namespace fivefold::models::module
