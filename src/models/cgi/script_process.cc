#include "models/cgi/script_process.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

namespace fivefold::models::cgi {
namespace {

// How long the end of a killed process is waited for before its input is closed all the same.
constexpr std::chrono::seconds kKillWait{5};

struct Pipe {
  UniqueFd read, write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0)
    return fail_errno(errno, "making a pipe to a script", Code::out_of_resources);
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

net::Task<bool> exit_of(process::Child& child) {
  co_await child.exited().wait();
  co_return true;
}

}  // namespace

ScriptProcess::ScriptProcess(exchange::World& world, std::shared_ptr<const CgiProgram> program, process::Place place,
                             process::OutputLines lines, std::shared_ptr<process::Journey> journey)
    : world_(world),
      program_(std::move(program)),
      place_(std::move(place)),
      lines_(std::move(lines)),
      journey_(std::move(journey)) {}

ScriptProcess::~ScriptProcess() {
  collect_stderr();
  lines_.finish();
}

net::Task<Result<std::unique_ptr<ScriptProcess>>> ScriptProcess::start(
    exchange::World& world, std::shared_ptr<const CgiProgram> program, process::SpawnPlan plan, RequestInput input,
    process::Place place, std::string script, std::string request_id, std::shared_ptr<process::Journey> journey) {
  process::OutputLines lines(program->program_log, program->settings.name, request_id);
  std::unique_ptr<ScriptProcess> started(
      new ScriptProcess(world, program, std::move(place), std::move(lines), std::move(journey)));

  auto out = make_pipe();
  if (!out) co_return std::unexpected(std::move(out.error()));
  auto err = make_pipe();
  if (!err) co_return std::unexpected(std::move(err.error()));
  Pipe in;
  if (input.is_streamed()) {
    auto made = make_pipe();
    if (!made) co_return std::unexpected(std::move(made.error()));
    in = std::move(*made);
    if (*input.length > kLargeInput) ::fcntl(in.write.get(), F_SETPIPE_SZ, kLargePipe);  // refused: the default does
  }
  plan.stdin_fd = input.is_streamed() ? in.read.get() : input.file.get();
  plan.stdout_fd = out->write.get();
  plan.stderr_fd = err->write.get();

  auto child = co_await world.spawner.spawn(std::move(plan));
  if (!child) co_return std::unexpected(std::move(child.error()));
  started->child_ = std::move(*child);
  started->child_->set_grace(program->settings.cgi.stop_grace);
  started->lines_.set_pid(started->child_->pid());
  started->listed_.emplace(program->status->list(started->child_->pid(), std::move(script), request_id));
  started->output_ = std::make_unique<net::Stream>(world.loop, std::move(out->read), kFirstBuffer, kLargestBuffer);
  started->stderr_fd_ = std::move(err->read);
  if (input.is_streamed()) {
    started->input_ = std::make_unique<net::Stream>(world.loop, std::move(in.write));
    started->body_ = std::move(input.streamed);
    started->feeder_ = net::Running(started->feed_input(*input.length));
  }
  co_return started;
}

// Runs beside whoever reads the output, so that neither the script nor we can wait for the other for ever.
net::Task<void> ScriptProcess::feed_input(std::uint64_t length) {
  std::uint64_t left = length;
  while (left > 0) {
    auto chunk = co_await body_.next();
    if (chunk && (chunk->empty() || chunk->size() > left))
      chunk = fail(Code::bad_request, "the request's body does not have the length that its Content-Length says");
    if (!chunk) {
      input_error_ = std::move(chunk.error());
      if (input_failed_) input_failed_();
      co_return;
    }
    std::string_view bytes = *chunk;
    left -= bytes.size();
    while (!bytes.empty()) {
      const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
      const auto written = input_->write_some({&part, 1});
      if (!written) {  // the script reads no further: its answer counts all the same
        input_.reset();
        co_return;
      }
      bytes.remove_prefix(*written);
      if (bytes.empty()) break;
      auto ready = co_await input_->writable();
      if (!ready) {
        input_.reset();
        co_return;
      }
    }
  }
  input_.reset();
}

void ScriptProcess::watch_stderr() {
  if (stderr_ || !stderr_fd_) return;
  stderr_ = std::make_unique<net::Stream>(world_.loop, std::move(stderr_fd_), kStderrBuffer, kStderrBuffer);
  stderr_reader_ = net::Running(read_stderr());
}

net::Task<void> ScriptProcess::read_stderr() {
  while (true) {
    auto got = co_await stderr_->fill();
    if (!got || *got == 0) co_return;
    take_stderr(stderr_->buffered());
    stderr_->consume(stderr_->buffered().size());
  }
}

void ScriptProcess::collect_stderr() {
  constexpr int kMostReads = 64;  // of a process that still writes: what it writes later is read later
  if (stderr_) {
    take_stderr(stderr_->buffered());
    stderr_->consume(stderr_->buffered().size());
  }
  const int fd = stderr_ ? stderr_->fd() : stderr_fd_.get();
  if (fd < 0) return;
  std::array<char, kStderrBuffer> buffer;
  for (int i = 0; i < kMostReads; ++i) {
    int waiting = 0;
    if (::ioctl(fd, FIONREAD, &waiting) != 0 || waiting <= 0) return;
    const ssize_t count = ::read(fd, buffer.data(), std::min(buffer.size(), static_cast<std::size_t>(waiting)));
    if (count <= 0) return;
    take_stderr({buffer.data(), static_cast<std::size_t>(count)});
  }
}

void ScriptProcess::note(std::string_view text) {
  collect_stderr();
  lines_.note(text);
}

void ScriptProcess::take_stderr(std::string_view bytes) {
  if (bytes.empty()) return;
  lines_.take(bytes, world_.loop.now());
  if (journey_) journey_->output(bytes);
}

net::Task<void> ScriptProcess::drain(net::TimePoint until) {
  while (true) {
    auto got = co_await output_->fill(until);
    if (!got || *got == 0) co_return;
    output_->consume(output_->buffered().size());
  }
}

net::Task<void> ScriptProcess::end_of_process(net::TimePoint until) {
  if (child_->exit_status()) co_return;
  net::StopSource stop;
  net::Timer timer(world_.loop.timers(), [](void* source) { static_cast<net::StopSource*>(source)->request(); }, &stop);
  timer.set(until);
  co_await net::until(exit_of(*child_), stop);
}

void ScriptProcess::outlive(std::unique_ptr<ScriptProcess> process, net::TimePoint until) {
  // What belongs to the request ends with it.
  process->feeder_ = net::Running();
  process->body_ = exchange::Body();
  process->input_failed_ = nullptr;
  process->journey_.reset();
  auto& background = process->world_.background;
  background.start(go_on(std::move(process), until));
}

net::Task<void> ScriptProcess::go_on(std::unique_ptr<ScriptProcess> process, net::TimePoint until) {
  if (process->lacks_input()) {
    process->child_->signal(SIGKILL);
    co_await process->end_of_process(process->loop().now() + kKillWait);
    co_return;
  }
  process->watch_stderr();
  process->output_->consume(process->output_->buffered().size());
  co_await process->drain(until);
  co_await process->end_of_process(until);
}

void ScriptProcess::give_up() {
  if (!child_->exit_status()) child_->signal(SIGKILL);
  place_ = process::Place();
}

}  // namespace fivefold::models::cgi
