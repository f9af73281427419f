#include "registry.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <clocale>
#include <csignal>
#include <ctime>

#include "guard.h"
#include "time_limit.h"

namespace fivefold::perl {

namespace {

Registry* registry = nullptr;
constexpr int kError = 3;  // of syslog(3)

std::uint64_t now_ms() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1000 + static_cast<std::uint64_t>(time.tv_nsec) / 1'000'000;
}

// What the server does for a script leaves $! as it was.
class KeepsErrno {
 public:
  KeepsErrno() : kept_(errno) {}
  ~KeepsErrno() { errno = kept_; }
  KeepsErrno(const KeepsErrno&) = delete;
  KeepsErrno& operator=(const KeepsErrno&) = delete;

 private:
  int kept_;
};

class Locked {
 public:
  explicit Locked(ChildOutput& output) : output_(output) { output_.lock(); }
  ~Locked() { output_.unlock(); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

 private:
  ChildOutput& output_;
};

// That of the environment, as when Perl started.
void restore_locale() {
  dSP;
  ENTER;
  SAVETMPS;
  PUSHMARK(SP);
  mXPUSHi(LC_ALL);
  mXPUSHp("", 0);
  PUTBACK;
  call_pv("POSIX::setlocale", G_VOID | G_DISCARD | G_EVAL);
  FREETMPS;
  LEAVE;
}

}  // namespace

void Registry::start() {
  globals_.start();
  umask_ = umask(022);
  umask(umask_);
}

std::expected<void, std::string> Registry::preload(const std::string& file) {
  if (const auto script = find(file); !script) return std::unexpected(script.error());
  return {};
}

bool Registry::start_worker() {
  registry = this;
  const auto take = [this](std::string_view bytes) {
    if (request_ == nullptr) return;
    output_.write(bytes);
    if (output_.head_done()) request_->flush();
  };
  if (!child_output_.start(take)) return false;
  handles_.start(Connect::all, child_output_.write_end());
  environment_.start();
  PL_srand_called = FALSE;
  pthread_atfork(&Registry::before_fork, &Registry::after_fork, &Registry::in_child);
  return true;
}

// ---- which script ----

Registry::Found Registry::find(const std::string& path) {
  struct stat file{};
  if (stat(path.c_str(), &file) != 0)
    return std::unexpected("The script " + path + " cannot be found: " + strerror(errno));
  const FileVersion version = FileVersion::of(file);
  const auto known = scripts_.find(path);
  if (known != scripts_.end() && known->second->version() == version) return known->second.get();
  if (known != scripts_.end()) scripts_.erase(known);
  bool main_free = true;
  for (const auto& [name, script] : scripts_) main_free = main_free && !script->in_main();
  enter(path.substr(0, std::max<std::size_t>(path.rfind('/'), 1)));
  std::string printed;
  printed_ = &printed;
  auto script = Script::compile(path, version, globals_, main_free);
  if (request_ != nullptr) handles_.flush();
  printed_ = nullptr;
  if (!script) {
    if (request_ != nullptr) output_.write(printed);
    return std::unexpected(script.error());
  }
  (*script)->printed = std::move(printed);
  return scripts_.emplace(path, std::move(*script)).first->second.get();
}

void Registry::enter(const std::string& folder) {
  if (!folder_changed && folder == folder_) return;
  folder_ = chdir(folder.c_str()) == 0 ? folder : std::string();
  folder_changed = false;
}

// ---- what the handles do ----

bool Registry::output(std::string_view bytes) {
  const KeepsErrno kept;
  if (printed_ != nullptr) {
    printed_->append(bytes);
    return true;
  }
  const Locked locked(child_output_);
  if (child_output_.shared()) child_output_.drain();
  const bool wanted = output_.write(bytes);
  if (wanted && output_.head_done()) {
    waiting_ = true;
    // Perl hands over a full buffer by itself; anything less the script has flushed, and it leaves as with $|.
    const bool flushed = handles_.flushes_always() || (top_ != nullptr && bytes.size() < PERLIOBUF_DEFAULT_BUFSIZ);
    if (flushed && now_ms() - began_ > kGatherMs) {
      waiting_ = false;
      request_->flush();
    }
  }
  if (wanted || output_.head_too_long()) return wanted;
  // As SIGPIPE would do it.
  if (!left_) TimeLimit::stop();
  left_ = true;
  return false;
}

bool Registry::errors(std::string_view bytes) {
  const KeepsErrno kept;
  error_line_.append(bytes);
  send_errors(false);
  return true;
}

void Registry::send_errors(bool all) {
  const std::size_t whole = all ? error_line_.size() : error_line_.rfind('\n') + 1;
  if (whole == 0) return;
  const std::string lines = error_line_.substr(0, whole);
  error_line_.erase(0, whole);
  last_error_ = lines.substr(lines.rfind('\n', lines.size() - 2) + 1);
  while (last_error_.ends_with('\n')) last_error_.pop_back();
  const Locked locked(child_output_);
  request_->log(kError, lines);
}

ssize_t Registry::input(char* to, std::size_t most) {
  const KeepsErrno kept;
  before_waiting();
  const Locked locked(child_output_);
  return request_->read_body(to, most, true);
}

void Registry::before_waiting() {
  const KeepsErrno kept;
  if (!waiting_ || request_ == nullptr) return;
  waiting_ = false;
  const Locked locked(child_output_);
  request_->flush();
}

// ---- processes that a script starts ----

// A child reads the rest of the body where a CGI program would: from descriptor 0.
void Registry::shares_input() {
  const KeepsErrno kept;
  if (forked_ || handles_.input_shared() || request_->body_length() == 0) return;
  const int file = lifted(memfd_create("request body", MFD_CLOEXEC));
  if (file < 0) return;
  char piece[16384];
  ssize_t got = 0;
  while ((got = input(piece, sizeof piece)) > 0 || got == worker::Request::kInterrupted) {
    if (got > 0 && write(file, piece, static_cast<std::size_t>(got)) != got) break;
  }
  lseek(file, 0, SEEK_SET);
  handles_.share_input(file);
  close(file);
}

void Registry::before_fork() {
  const KeepsErrno kept;
  if (registry->forked_ || registry->request_ == nullptr) return;
  registry->before_waiting();
  registry->has_children_ = true;
  registry->shares_input();
  registry->child_output_.share();
  registry->child_output_.lock();
}

void Registry::after_fork() {
  const KeepsErrno kept;
  if (registry->forked_ || registry->request_ == nullptr) return;
  registry->child_output_.unlock();
}

void Registry::in_child() {
  const KeepsErrno kept;
  if (registry->forked_) return;
  registry->child_output_.in_child();
  registry->forked_ = true;
  standard_handles_in_child();
  if (PL_psig_ptr[SIGPIPE] == nullptr) std::signal(SIGPIPE, SIG_DFL);
  Environment::become_real();
}

// The end of a child that Perl's fork() has made: what the end of a process is to a script.
void Registry::end_child(int status) {
  PerlIO_flush(nullptr);
  STATUS_EXIT_SET(status);
  _exit(perl_destruct(my_perl));
}

// ---- one request ----

void Registry::run(Script& script, int* status) {
  errno = 0;  // an uncaught die makes it the status
  auto call = [&script] {
    dSP;
    ENTER;
    SAVETMPS;
    PUSHMARK(SP);
    call_sv(reinterpret_cast<SV*>(script.top()), G_VOID | G_DISCARD);
    FREETMPS;
    LEAVE;
  };
  guarded(call, status);
}

void Registry::run_ends(Script& script, int* status) {
  for (CV* end : script.ends()) {
    STATUS_EXIT_SET(*status);  // $?, which the block may change
    auto call = [end] {
      dSP;
      ENTER;
      SAVETMPS;
      PUSHMARK(SP);
      call_sv(reinterpret_cast<SV*>(end), G_VOID | G_DISCARD);
      FREETMPS;
      LEAVE;
    };
    if (guarded(call, status) == Ended::returned) *status = STATUS_EXIT;
  }
  STATUS_ALL_SUCCESS;
}

worker::Outcome Registry::serve(worker::Request& request) {
  request_ = &request;
  left_ = waiting_ = false;
  last_error_.clear();
  began_ = now_ms();
  output_.begin(request);
  const std::string path(request.variable("SCRIPT_FILENAME"));
  // What Perl's functions put by for later is freed with this scope.
  ENTER;
  SAVETMPS;
  environment_.fill(request);
  handles_.connect(*this);
  watch_operators(this);
  TimeLimit::set(request.time_limit_ms());
  const Found script = find(path);
  if (script) {
    int status = 0;
    enter((*script)->folder());
    globals_.begin(path, (*script)->globals());
    (*script)->begin();
    if (!(*script)->printed.empty()) output((*script)->printed);
    (*script)->handles().apply();
    top_ = (*script)->top();
    run(**script, &status);
    (*script)->take_ends();
    run_ends(**script, &status);
    top_ = nullptr;
    if (forked_) end_child(status);
    restore(**script);
  } else {
    if (forked_) end_child(255);
    errors(script.error() + "\n");
    handles_.restore();
  }
  TimeLimit::clear();
  worker::Outcome outcome = finish(path, script.has_value());
  handles_.disconnect();
  watch_operators(nullptr);
  environment_.restore();
  if (locale_changed) restore_locale();
  locale_changed = false;
  FREETMPS;
  LEAVE;
  request_ = nullptr;
  return outcome;
}

void Registry::restore(Script& script) {
  // Objects may be destroyed here, by code of the script's.
  auto last = [this, &script] {
    script.after();
    if (file_opened) script.close_files();
    handles_.untie();
    handles_.flush();
  };
  guarded(last);
  file_opened = false;
  TimeLimit::forget();
  if (alarm_set) {
    constexpr itimerval kNone{};
    for (auto clock : {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF}) setitimer(clock, &kNone, nullptr);
  }
  alarm_set = false;
  if (umask_changed) umask(umask_);
  umask_changed = false;
  {
    const Locked locked(child_output_);
    child_output_.drain();
  }
  globals_.end(script.globals());
  if (child_output_.renew()) {
    handles_.replace_output(child_output_.write_end());
  }
  handles_.restore();
  if (has_children_) {
    pid_t ended = 0;
    while ((ended = waitpid(-1, nullptr, WNOHANG)) > 0) {
    }
    has_children_ = ended == 0;
  }
}

worker::Outcome Registry::finish(const std::string& path, bool ran) {
  send_errors(true);
  worker::Outcome outcome;
  if (TimeLimit::passed()) {
    outcome.faults =
        worker::protocol::kTimedOut | (output_.head_done() ? worker::protocol::kBroken : worker::protocol::kFailed);
    outcome.text = "The script " + path + " was ended: its time limit had passed.";
  } else if (output_.head_too_long()) {
    outcome.faults = worker::protocol::kFailed;
    outcome.text = "The script " + path + " printed " + std::to_string(CgiOutput::kMostHead) +
                   " bytes without the empty line that ends a head.";
  } else if (!output_.head_done() && !left_) {
    outcome.faults = worker::protocol::kFailed;
    outcome.text = ran && last_error_.empty()
                       ? "The script " + path +
                             (output_.in_head() ? " ended in the middle of its response's head: an empty line ends it."
                                                : " ended without printing anything.")
                       : last_error_;
  }
  return outcome;
}

}  // namespace fivefold::perl
