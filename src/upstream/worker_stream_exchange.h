#pragma once
// One request and its response among others on a worker's channel: what call_worker_stream() drives, and afterwards
// the response's body, or the tunnel.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateway/cgi_response.h"
#include "net/short_timer.h"
#include "upstream/worker_stream_call.h"

namespace fivefold::upstream {

// Belongs to the channel's loop. Held by the channel until the worker has done with it, and by whoever reads the
// response. What comes is pushed into it; bounded by its window.
class StreamExchange : public std::enable_shared_from_this<StreamExchange> {
 public:
  // A response that is complete this soon after its head is passed on whole, with its length known; what takes longer
  // is streamed.
  static constexpr std::chrono::microseconds kFlushAfter{2000};
  static constexpr std::size_t kWholeBody = 65536;  // a longer one is streamed
  static constexpr std::size_t kMostInterim = 64;   // before the head

  explicit StreamExchange(StreamCall call);
  ~StreamExchange();

  static net::Task<WorkerResult> run(std::shared_ptr<StreamExchange> exchange, process::StringBlock variables);

  // ---- the response's body, or what comes through the tunnel ----
  net::Task<Result<exchange::Chunk>> next();
  std::optional<std::uint64_t> length() const { return unsent_; }
  bool complete() const { return unsent_ ? *unsent_ == 0 : ended_ && output_.empty(); }
  // Nobody reads the response any more: the worker is told, if it is still busy with it.
  void abandon();
  // Nobody wants the body, but the program may go on to its end.
  void discard();

  // ---- the tunnel's other direction ----
  // Code::closed once the worker takes nothing any more.
  net::Task<Result<void>> send(std::string_view bytes);
  void finish_sending();
  std::chrono::milliseconds tunnel_timeout() const { return call_.tunnel_timeout; }

  // ---- from the channel ----
  // An error: the worker is not to be trusted.
  Result<void> take(const gateway::WorkerFrameReader::Piece& piece);
  enum class Loss : std::uint8_t { died, reset, kill };  // reset: it may not have read the request
  void lost(const Error& error, Loss loss);
  // The loop ends: nobody is told.
  void drop();
  void room() { room_.wake(); }

  // Whether run() has: an answer, or why there is none.
  bool returned() const { return returned_; }

 private:
  Result<void> take_head();
  Result<void> take_interim();
  Result<void> take_output(std::string_view bytes);
  void take_end(std::uint8_t flags);
  std::optional<Error> cut_short() const;
  void begin(const process::StringBlock& variables);
  void append_body(std::string_view bytes, bool last);
  void stop_body();
  net::Task<void> feed();
  net::Task<Result<void>> until_head();
  net::Task<Result<bool>> until_whole();
  void credit(std::size_t bytes);
  WorkerFailure failed(Error error);
  void keep_for_later();
  void release();
  static void time_is_up(void* self);

  StreamCall call_;
  std::shared_ptr<WorkerStreams> streams_;
  net::Loop& loop_;
  std::uint32_t number_ = 0;  // 0: not on the channel
  std::uint64_t begins_ = 0;  // of all bytes to the worker
  // the response
  std::string head_text_;
  std::string interim_text_;
  std::string end_text_;
  gateway::CgiHead head_;
  std::vector<std::pair<int, http::Headers>> interims_;
  std::size_t interim_count_ = 0;
  std::string output_;                   // of the body, not passed on yet
  std::string passed_on_;                // what the last next() has returned
  std::uint32_t window_;                 // bytes that the worker may still send
  std::size_t consumed_ = 0;             // bytes that it has not been told of
  std::optional<std::uint64_t> left_;    // of an announced length, not come from the worker yet
  std::optional<std::uint64_t> unsent_;  // of it, not passed on yet
  std::optional<Error> broken_;          // for next(), behind what has come
  bool unread_ = false;
  bool have_head_ = false;
  bool switched_ = false;  // to a tunnel
  bool any_frame_ = false;
  bool discarding_ = false;
  bool ended_ = false;  // the response has
  bool returned_ = false;
  bool pause_over_ = false;
  // the request's body
  std::uint64_t wanted_ = 0;  // bytes that may still be sent
  std::uint64_t sent_ = 0;
  bool body_over_ = true;  // the worker has been told its end
  bool touched_ = false;
  std::optional<Error> body_failure_;
  StreamWaiter arrived_;  // for run(), next(): output, the end, an error
  StreamWaiter room_;     // for feed(), send(): more is wanted, or there is room on the channel
  net::Timer hard_;
  net::Running feeder_;  // destroyed before what it uses
};

}  // namespace fivefold::upstream
