#pragma once
// One script's process with its three pipes, from its start to its end.
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "exchange/exchange.h"
#include "models/cgi/cgi_program.h"
#include "models/cgi/request_input.h"
#include "net/stream.h"
#include "process/child.h"
#include "process/journey.h"
#include "process/output_lines.h"

namespace fivefold::models::cgi {

// Belongs to one loop. Letting go of it ends the process (TERM, KILL after cgi.stop_grace); outlive() lets it go on
// without its request.
class ScriptProcess {
 public:
  static constexpr std::size_t kFirstBuffer = 4096;  // of the output; it grows ...
  static constexpr std::size_t kLargestBuffer =
      65536;  // ... to this, which is also the longest chunk of a streamed body
  static constexpr std::size_t kStderrBuffer = 4096;
  static constexpr std::uint64_t kLargeInput = 256 * 1024;  // a longer streamed body gets a pipe of kLargePipe bytes
  static constexpr int kLargePipe = 256 * 1024;

  // `plan` has everything but the descriptors. `script` is what `status` shows.
  static net::Task<Result<std::unique_ptr<ScriptProcess>>> start(
      exchange::World& world, std::shared_ptr<const CgiProgram> program, process::SpawnPlan plan, RequestInput input,
      process::Place place, std::string script, std::string request_id, std::shared_ptr<process::Journey> journey);
  ~ScriptProcess();
  ScriptProcess(const ScriptProcess&) = delete;

  net::Stream& output() { return *output_; }
  // Its time is over: it is killed, and its place is another's, however long its reader takes for what it has written.
  void give_up();
  process::Child& child() { return *child_; }
  net::Loop& loop() { return world_.loop; }
  // Whether there is input that the script has not got.
  bool lacks_input() const { return input_ != nullptr; }

  // Called once, from the top of the loop, when the request's body has failed before its end: see input_error().
  void on_input_failed(std::function<void()> callback) { input_failed_ = std::move(callback); }
  const std::optional<Error>& input_error() const { return input_error_; }

  // From here on standard error is read as it comes. Before that it waits in its pipe: most scripts never write any,
  // and then it costs nothing.
  void watch_stderr();
  // What has been written to standard error so far goes to the log and the journey.
  void collect_stderr();
  // A line of ours among the program's.
  void note(std::string_view text);

  // The process goes on without its request, until it has ended or `until` has come; its output is read and dropped. A
  // process that has not got its whole input is killed instead, and sees no end of its input: it must not take half a
  // body for a whole one.
  static void outlive(std::unique_ptr<ScriptProcess> process, net::TimePoint until);

 private:
  ScriptProcess(exchange::World& world, std::shared_ptr<const CgiProgram> program, process::Place place,
                process::OutputLines lines, std::shared_ptr<process::Journey> journey);
  net::Task<void> feed_input(std::uint64_t length);
  net::Task<void> read_stderr();
  static net::Task<void> go_on(std::unique_ptr<ScriptProcess> process, net::TimePoint until);
  net::Task<void> drain(net::TimePoint until);
  net::Task<void> end_of_process(net::TimePoint until);
  void take_stderr(std::string_view bytes);

  exchange::World& world_;
  std::shared_ptr<const CgiProgram> program_;
  process::Place place_;
  process::OutputLines lines_;
  std::shared_ptr<process::Journey> journey_;
  std::unique_ptr<net::Stream> output_;
  UniqueFd stderr_fd_;                   // until watch_stderr()
  std::unique_ptr<net::Stream> stderr_;  // after it
  std::unique_ptr<net::Stream> input_;   // while there is input that the script has not got
  exchange::Body body_;
  std::optional<Error> input_error_;
  std::function<void()> input_failed_;
  std::unique_ptr<process::Child> child_;
  std::optional<ScriptStatus::Listed> listed_;
  net::Running feeder_;
  net::Running stderr_reader_;
};

}  // namespace fivefold::models::cgi
