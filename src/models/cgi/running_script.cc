#include "models/cgi/running_script.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include "models/cgi/script_diagnosis.h"

namespace fivefold::models::cgi {
namespace {

net::Task<bool> exit_of(process::Child& child) {
  co_await child.exited().wait();
  co_return true;
}

std::string seconds(std::chrono::milliseconds time) {
  return fmt::format("{} s", static_cast<double>(time.count()) / 1000.0);
}

}  // namespace

RunningScript::RunningScript(std::unique_ptr<ScriptProcess> process, std::shared_ptr<const CgiProgram> program,
                             std::string file, std::shared_ptr<process::Journey> journey, exchange::Exchange& exchange,
                             net::TimePoint deadline)
    : process_(std::move(process)),
      program_(std::move(program)),
      file_(std::move(file)),
      journey_(std::move(journey)),
      exchange_(exchange),
      deadline_(deadline),
      watch_timer_(
          process_->loop().timers(), [](void* self) { static_cast<RunningScript*>(self)->watch(); }, this),
      wake_timer_(
          process_->loop().timers(), [](void* self) { static_cast<RunningScript*>(self)->woken(); }, this),
      abandon_timer_(
          process_->loop().timers(),
          [](void* self) {
            static_cast<RunningScript*>(self)->abandoned_ = true;
            static_cast<RunningScript*>(self)->woken();
          },
          this),
      late_timer_(
          process_->loop().timers(),
          [](void* self) {
            auto& script = *static_cast<RunningScript*>(self);
            script.late_ = true;
            script.process_->give_up();
            script.woken();
          },
          this) {
  const auto now = process_->loop().now();
  head_deadline_ = std::min(deadline_, now + program_->settings.cgi.first_byte_timeout);
  watch_timer_.set(now + kWatchAfter);
  late_timer_.set(deadline_);
  // The failure is told to whoever waits for output from the top of the loop, not from inside the body's reader.
  process_->on_input_failed([this] { wake_timer_.set(process_->loop().now()); });
}

RunningScript::~RunningScript() {
  exit_watcher_ = net::Running();
  const auto now = process_->loop().now();
  const bool left_alone = wanted_ == Wanted::body;  // the client has gone, or the request has failed
  if (process_->child().exit_status()) return;
  if (wanted_ == Wanted::to_end ||
      (left_alone && !ended_ && program_->settings.cgi.on_disconnect == config::OnDisconnect::continue_))
    ScriptProcess::outlive(std::move(process_), deadline_);
  else if (wanted_ == Wanted::linger)
    ScriptProcess::outlive(std::move(process_), std::min(deadline_, now + program_->settings.cgi.linger));
  else if (process_->lacks_input())
    ScriptProcess::outlive(std::move(process_), now);
}

void RunningScript::watch() {
  if (exit_watcher_) return;
  process_->watch_stderr();
  exit_watcher_ = net::Running(watch_exit());
}

// A process that has ended may have left its output open to others; they have cgi.linger to close it.
net::Task<void> RunningScript::watch_exit() {
  co_await process_->child().exited().wait();
  abandon_timer_.set(process_->loop().now() + program_->settings.cgi.linger);
}

void RunningScript::woken() { process_->output().interrupt(); }

bool RunningScript::output_waits() {
  int waiting = 0;
  return ::ioctl(process_->output().fd(), FIONREAD, &waiting) == 0 && waiting > 0;
}

std::string RunningScript::late(net::TimePoint deadline, Limit limit) const {
  const auto& cgi = program_->settings.cgi;
  if (deadline == deadline_)
    return "the program was not done within " + seconds(program_->settings.timeout) + " (timeout)";
  if (limit == Limit::head)
    return "the program sent no complete response head within " + seconds(cgi.first_byte_timeout) +
           " (first_byte_timeout)";
  return "the program wrote nothing for " + seconds(cgi.idle_timeout) + " (idle_timeout)";
}

// Until there is more output, or its end. `limit` is what the deadline stands for.
net::Task<Result<RunningScript::Output>> RunningScript::wait(net::TimePoint deadline, Limit limit) {
  while (true) {
    if (process_->input_error()) co_return std::unexpected(*process_->input_error());
    if (abandoned_ && !output_waits()) {
      at_end_ = true;
      co_return Output::end;
    }
    auto got = co_await process_->output().fill(deadline);
    if (got && *got > 0) co_return Output::bytes;
    if (got) {
      at_end_ = true;
      co_return Output::end;
    }
    if (got.error().code != Code::timed_out)
      co_return fail(Code::program_failed, "the program's output cannot be read: " + got.error().message);
    if (std::exchange(pause_due_, false)) co_return Output::pause;
    if (process_->loop().now() >= deadline) co_return fail(Code::program_timeout, late(deadline, limit));
  }
}

net::Task<Result<gateway::CgiHead>> RunningScript::head() {
  gateway::CgiHeadParser parser(
      {.head = program_->settings.cgi.output_head, .status_line = program_->settings.cgi.nph == config::Nph::reframe});
  gateway::CgiHead head;
  while (true) {
    auto output = co_await wait(head_deadline_, Limit::head);
    Error error;
    if (!output) {
      error = std::move(output.error());
    } else {
      auto parsed = parser.parse(buffered(), head);
      if (parsed && *parsed > 0) {
        process_->output().consume(*parsed);
        break;
      }
      if (parsed && *output != Output::end) continue;
      error = parsed ? gateway::CgiHeadParser::ended_early(buffered()) : std::move(parsed.error());
    }
    auto told = co_await failed(std::move(error));
    co_return std::unexpected(std::move(told));
  }
  journey_->step("head", process_->loop().now(), std::to_string(head.status));
  left_ = head.content_length;
  co_return head;
}

net::Task<Result<std::optional<std::string>>> RunningScript::whole_body() {
  pause_timer_.emplace(
      process_->loop(),
      [](void* self) {
        static_cast<RunningScript*>(self)->pause_due_ = true;
        static_cast<RunningScript*>(self)->woken();
      },
      this);
  bool timed = false;
  while (!at_end_ && !(left_ && buffered().size() >= *left_)) {
    if (!process_->output().can_grow() || pause_due_) {
      pause_timer_->cancel();
      pause_due_ = false;
      co_return std::nullopt;
    }
    if (!std::exchange(timed, true)) pause_timer_->set(kFlushAfter);
    auto output = co_await wait(deadline_, Limit::silence);
    if (!output) {
      pause_timer_->cancel();
      auto told = co_await failed(std::move(output.error()));
      co_return std::unexpected(std::move(told));
    }
    if (*output == Output::pause) co_return std::nullopt;
  }
  pause_timer_->cancel();
  pause_due_ = false;
  std::string whole(left_ ? buffered().substr(0, *left_) : buffered());
  if (left_) *left_ -= whole.size();
  sent_ = whole.size();
  auto complete = co_await check_end();
  if (!complete) co_return std::unexpected(std::move(complete.error()));
  co_return whole;
}

net::Task<Result<exchange::Chunk>> RunningScript::next() {
  process_->output().consume(std::exchange(handed_out_, 0));
  if (ended_) co_return exchange::Chunk{};
  if (late_) {
    // Its reader was the slow one: the fill below has a deadline of its own, but is not what is waited for.
    ended_ = true;
    auto told = co_await failed({Code::program_timeout, late(deadline_, Limit::silence)});
    co_return std::unexpected(std::move(told));
  }
  while (buffered().empty() && !at_end_ && left_ != 0) {
    const auto now = process_->loop().now();
    const auto deadline = std::min(deadline_, now + program_->settings.cgi.idle_timeout);
    auto output = co_await wait(deadline, Limit::silence);
    if (output) continue;
    ended_ = true;
    auto told = co_await failed(std::move(output.error()));
    co_return std::unexpected(std::move(told));
  }
  exchange::Chunk chunk = buffered();
  if (left_ && chunk.size() > *left_) chunk = chunk.substr(0, *left_);
  if (!chunk.empty()) {
    handed_out_ = chunk.size();
    sent_ += chunk.size();
    if (left_) *left_ -= chunk.size();
    if (sent_ > kLargeOutput && !std::exchange(large_, true))
      ::fcntl(process_->output().fd(), F_SETPIPE_SZ, ScriptProcess::kLargePipe);
    co_return chunk;
  }
  ended_ = true;
  auto complete = co_await check_end();
  if (!complete) co_return std::unexpected(std::move(complete.error()));
  co_return exchange::Chunk{};
}

// Whether the output, which has ended or reached its announced length, is all that was to come.
net::Task<Result<void>> RunningScript::check_end() {
  wanted_ = Wanted::linger;
  if (left_ == 0) co_return Result<void>{};
  if (left_) {
    auto told = co_await failed(
        {Code::program_failed,
         fmt::format("the program ended its output {} bytes before the length that it had announced", *left_)});
    co_return std::unexpected(std::move(told));
  }
  co_await settle();
  const auto& exit = process_->child().exit_status();
  if (!exit || exit->success()) co_return Result<void>{};
  // A status other than 0 is how many programs end that have said everything (man2html after its "not found" page, a
  // shell script whose last test fails): worth a line in the log. Nobody dies by a signal on purpose.
  if (!exit->signal) {
    process_->note("[" + process::in_words(*exit) + " after its response]");
    co_return Result<void>{};
  }
  auto told = co_await failed({Code::program_failed, "the program died after its response head"});
  co_return std::unexpected(std::move(told));
}

net::Task<void> RunningScript::settle() {
  exit_watcher_ = net::Running();  // an event has one waiter
  if (process_->child().exit_status()) co_return;
  net::StopSource stop;
  net::Timer timer(
      process_->loop().timers(), [](void* source) { static_cast<net::StopSource*>(source)->request(); }, &stop);
  timer.set(process_->loop().now() + kSettle);
  co_await net::until(exit_of(process_->child()), stop);
}

// Completes the story of a failure: how the process ended, what it said, what to do.
net::Task<Error> RunningScript::failed(Error error) {
  wanted_ = Wanted::nothing;
  const bool programs_fault = error.code == Code::program_failed || error.code == Code::program_timeout;
  if (!programs_fault) co_return error;  // the client's body: its own answer, and not the program's failure
  if (at_end_) co_await settle();
  process_->collect_stderr();
  const auto& exit = process_->child().exit_status();
  if (exit) {
    journey_->step("ended", process_->loop().now(), process::in_words(*exit));
    error.message += "; it " + process::in_words(*exit);
  }
  error.message = file_ + ": " + error.message;
  const Failure failure{
      .script = file_, .message = error.message, .output = journey_->output_tail(), .exit = exit, .started = true};
  journey_->failed(error.message, error.code == Code::program_timeout ? std::string() : likely_mend(failure));
  exchange_.failure_page_html = journey_->as_html();
  exchange_.failure_log = journey_->as_text();
  program_->status->count_failure(error.message);
  co_return error;
}

}  // namespace fivefold::models::cgi
