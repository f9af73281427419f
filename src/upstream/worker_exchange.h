#pragma once
// One request and its response on a worker's channel: what call_worker() drives, and afterwards the response's body.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateway/cgi_response.h"
#include "upstream/wakeup.h"
#include "upstream/worker_call.h"
#include "upstream/worker_sender.h"

namespace fivefold::upstream {

// Belongs to the channel's loop. Shared by whoever reads the response and by the pump that takes it from the worker.
class WorkerExchange : public std::enable_shared_from_this<WorkerExchange> {
 public:
  // A response that is complete this soon after its head is passed on whole, with its length known; what takes longer
  // is streamed.
  static constexpr std::chrono::microseconds kFlushAfter{2000};
  static constexpr std::size_t kWholeBody = 65536;  // a longer one is streamed
  static constexpr std::size_t kMostInterim = 64;   // before the head

  explicit WorkerExchange(WorkerCall call);

  // The whole of it, up to the answer.
  static net::Task<WorkerResult> run(std::shared_ptr<WorkerExchange> exchange, process::StringBlock variables);

  // ---- a request that is sent while its worker is at another one ----
  // `call` has no owner yet. Null: the worker is gone, which whoever reads there notices, and `body` is given back.
  static std::shared_ptr<WorkerExchange> send_ahead(WorkerCall call, process::StringBlock variables,
                                                    exchange::Body& body);
  // True: the worker has not begun it and never will, and `body` is given back. False: its answer comes, unless the
  // worker is `gone`: then it was lost with it.
  bool take_back(exchange::Body& body, bool gone);
  // Its turn has come, and `owner` with it: the rest of run().
  static net::Task<WorkerResult> go_on_with(std::shared_ptr<WorkerExchange> exchange,
                                            std::unique_ptr<WorkerOwner> owner);
  // The same, but nobody waits for the answer.
  void abandon_with(std::unique_ptr<WorkerOwner> owner);

  WorkerChannel& channel() { return call_.channel; }

  // ---- the response's body ----
  net::Task<Result<exchange::Chunk>> next();
  std::optional<std::uint64_t> length() const { return unsent_; }
  // Whether all of it has come, or at least all that was announced.
  bool complete() const { return unsent_ ? *unsent_ == 0 : ended_ && output_.empty(); }
  // Nobody reads the response any more. The worker is told, if it is still busy with it.
  void abandon();
  // Nobody wants the body, but the script may go on to its end.
  void discard();

  // Whether run() has: an answer, or why there is none.
  bool returned() const { return returned_; }

 private:
  // What an error means for the worker.
  enum class Fault : std::uint8_t { none, died, kill };
  net::Stream& stream() { return *call_.channel.stream(); }
  static net::Task<WorkerResult> answer(std::shared_ptr<WorkerExchange> exchange);
  Result<void> send(process::StringBlock variables);
  Result<void> take();
  Result<void> take_piece(const gateway::WorkerFrameReader::Piece& piece);
  Result<void> take_head();
  Result<void> take_interim();
  void take_end(std::uint8_t flags);
  std::unexpected<Error> nonsense(std::string what);
  net::Task<Result<bool>> more();
  net::Task<Result<void>> until_head();
  net::Task<Result<bool>> until_whole();
  Error late();
  std::optional<Error> cut_short() const;
  WorkerFailure failed(Error error);
  void go_on();
  static net::Task<void> pump(std::shared_ptr<WorkerExchange> exchange);
  void break_off(Error error);
  void tell_of_break();
  void lose_worker(const Error& error);
  void release();

  WorkerCall call_;
  net::Loop& loop_;
  exchange::World& world_;
  WorkerSender sender_;
  std::uint32_t number_;
  std::string head_text_;
  std::string interim_text_;
  std::string end_text_;
  gateway::CgiHead head_;
  std::vector<std::pair<int, http::Headers>> interims_;
  std::size_t interim_count_ = 0;
  std::string output_;                   // of the body, not passed on yet
  std::string passed_on_;                // what the last next() has returned
  std::optional<std::uint64_t> left_;    // of an announced length, not come from the worker yet
  std::optional<std::uint64_t> unsent_;  // of it, not passed on yet
  std::optional<Error> broken_;          // for next(), behind what has come
  Fault fault_ = Fault::none;
  bool have_head_ = false;
  bool any_frame_ = false;  // of this request
  bool discarding_ = false;
  bool ended_ = false;  // the response has
  bool idle_ = false;   // the worker takes the next request
  bool returned_ = false;
  bool pumping_ = false;
  bool told_ = false;  // the owner, of broken_
  bool pause_due_ = false;
  LazyWakeup arrived_;  // for next(): output, the end or an error
  LazyWakeup drained_;  // for the pump: room in output_
};

}  // namespace fivefold::upstream
