#pragma once
// The sending half of a worker's exchange: the request, its body as far as it is asked for, and the word that nobody
// waits any more.
#include <optional>
#include <string>

#include "upstream/wakeup.h"
#include "upstream/worker_call.h"

namespace fivefold::upstream {

// Belongs to the exchange; the channel's stream outlives it, but for close().
class WorkerSender {
 public:
  WorkerSender(net::Loop& loop, exchange::Body body, std::optional<std::uint64_t> length);
  ~WorkerSender();
  WorkerSender(const WorkerSender&) = delete;
  WorkerSender& operator=(const WorkerSender&) = delete;

  // Writes the request with what lies in memory of its body; what does not leave at once follows beside the caller.
  // Code::closed when the worker is gone.
  Result<void> start(WorkerChannel& channel, std::uint32_t number, std::uint32_t time_limit_ms, bool head,
                     process::StringBlock variables);
  // So many more bytes of the body may be sent.
  void wanted(std::uint32_t bytes);
  // The response has ended: no more of the body is begun.
  void stop();
  // Nothing is left to be sent.
  bool done() const { return (body_over_ || stopped_) && !mid_frame_; }
  // Whether a frame is under way: the next one must not be written yet. `quiet` is set when it no longer is.
  bool mid_frame() const { return mid_frame_; }
  LazyWakeup& quiet() { return quiet_; }
  // Nobody reads the response: the body is let go of, and the worker told.
  void abandon();
  // These bytes, which were before it in the channel, did not leave at once.
  void owe(std::string rest);
  // The stream is about to go.
  void close();

  // The body's own error: the request will never be whole. A fill() that is awaited is interrupted.
  const std::optional<Error>& failure() const { return failure_; }
  bool body_touched() const { return touched_; }
  exchange::Body take_body() { return std::move(body_); }

 private:
  net::Task<void> feed();
  net::Task<bool> write_all();
  bool write_now();
  void leave_channel();

  net::Loop& loop_;
  WorkerChannel* channel_ = nullptr;
  net::Stream* stream_ = nullptr;
  exchange::Body body_;
  std::optional<std::uint64_t> length_;
  process::StringBlock variables_;
  std::uint32_t number_ = 0;
  std::string head_;  // what goes before chunk_, `head_sent_` of it sent
  std::size_t head_sent_ = 0;
  std::string_view middle_;  // the variables
  std::string_view chunk_;   // of the body
  std::uint64_t credit_ = 0;
  std::uint64_t sent_ = 0;  // bytes of the body
  bool body_over_ = true;   // the worker has been told its end
  bool mid_frame_ = false;
  bool stopped_ = false;
  bool touched_ = false;
  std::optional<Error> failure_;
  std::shared_ptr<WorkerSender*> self_;  // for the interruption that is on its way
  LazyWakeup credit_given_;
  LazyWakeup quiet_;
  net::Running feeder_;  // last: destroyed before what it uses
};

}  // namespace fivefold::upstream
