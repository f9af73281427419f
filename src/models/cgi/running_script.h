#pragma once
// A running script as its request sees it: a response head, then a body that is pulled.
#include <memory>
#include <optional>
#include <string>

#include "exchange/exchange.h"
#include "gateway/cgi_response.h"
#include "models/cgi/script_process.h"
#include "net/short_timer.h"

namespace fivefold::models::cgi {

// Times are the program's (config::Cgi) but for the constants here. Belongs to one loop; the exchange outlives it.
// Letting go of it is what a client that leaves does: the process is ended, or goes on without its request if
// on_disconnect says so.
class RunningScript final : public exchange::BodySource {
 public:
  // Output that is complete this soon after its head goes out whole, with its length known; what takes longer is
  // streamed.
  static constexpr std::chrono::microseconds kFlushAfter{2000};
  // A process that runs this long is watched: its standard error is read as it comes, and so is its end.
  static constexpr std::chrono::milliseconds kWatchAfter{10};
  // How long the exit of a process that has closed its output is waited for, to know whether that output is whole.
  static constexpr std::chrono::milliseconds kSettle{250};
  // From this much output on, the pipe is made ScriptProcess::kLargePipe long, so that script and server take turns
  // less often.
  static constexpr std::uint64_t kLargeOutput = 256 * 1024;

  RunningScript(std::unique_ptr<ScriptProcess> process, std::shared_ptr<const CgiProgram> program, std::string file,
                std::shared_ptr<process::Journey> journey, exchange::Exchange& exchange, net::TimePoint deadline);
  ~RunningScript() override;

  // The response head. Once.
  net::Task<Result<gateway::CgiHead>> head();

  // After head(): waits a moment for the rest of the output. The whole body, if it has come and fits in memory; nothing
  // if it is to be pulled by next(). An error if the program has failed meanwhile: nothing has been sent yet.
  net::Task<Result<std::optional<std::string>>> whole_body();

  net::Task<Result<exchange::Chunk>> next() override;
  std::optional<std::uint64_t> length() const override { return left_; }

  // Nothing more is wanted from it: the process is ended.
  void stop() { wanted_ = Wanted::nothing; }
  // Its answer is complete, but what it still does shall be done: it goes on, until its deadline at most, and its
  // output is dropped.
  void let_go() { wanted_ = Wanted::to_end; }

 private:
  enum class Wanted : std::uint8_t { body, nothing, to_end, linger };
  enum class Output : std::uint8_t { bytes, end, pause };

  enum class Limit : std::uint8_t { head, silence };
  net::Task<Result<Output>> wait(net::TimePoint deadline, Limit limit);
  std::string late(net::TimePoint deadline, Limit limit) const;
  net::Task<Result<void>> check_end();
  net::Task<void> settle();
  net::Task<void> watch_exit();
  void watch();
  bool output_waits();
  void woken();
  net::Task<Error> failed(Error error);
  std::string_view buffered() { return process_->output().buffered(); }

  std::unique_ptr<ScriptProcess> process_;
  std::shared_ptr<const CgiProgram> program_;
  std::string file_;
  std::shared_ptr<process::Journey> journey_;
  exchange::Exchange& exchange_;
  net::TimePoint deadline_;  // of the whole request
  net::TimePoint head_deadline_;
  std::optional<std::uint64_t> left_;  // of a body whose length the script has announced
  std::size_t handed_out_ = 0;         // bytes at the front of the buffer that the last next() returned
  std::uint64_t sent_ = 0;
  Wanted wanted_ = Wanted::body;
  bool at_end_ = false;
  bool ended_ = false;  // next() has returned the end or an error
  bool pause_due_ = false;
  bool abandoned_ = false;  // the process has ended; somebody else holds its output open
  bool large_ = false;
  bool late_ = false;  // the whole request's time is over
  std::optional<net::ShortTimer> pause_timer_;
  net::Timer watch_timer_;
  net::Timer wake_timer_;  // the request's body has failed
  net::Timer abandon_timer_;
  net::Timer late_timer_;
  net::Running exit_watcher_;
};

}  // namespace fivefold::models::cgi
