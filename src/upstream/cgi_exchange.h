#pragma once
// One request and its CGI-like response on one connection: what call_fastcgi(), call_scgi() and call_uwsgi() drive, and
// afterwards the response's body.
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "exchange/body.h"
#include "gateway/cgi_response.h"
#include "gateway/fastcgi.h"
#include "net/short_timer.h"
#include "upstream/call.h"
#include "upstream/request_sender.h"

namespace fivefold::upstream {

// Belongs to the connection's loop. Destroyed at any point, it closes the connection (or gives it back, when the
// exchange was over) and lets the owner go.
class CgiExchange {
 public:
  // What the response comes in: FastCGI records up to END_REQUEST, or bytes up to the end of the connection.
  enum class Framing : std::uint8_t { records, until_close };
  // A response that is complete this soon after its head is passed on whole, with its length known, and its connection
  // is free again at once; what takes longer is streamed.
  static constexpr std::chrono::microseconds kFlushAfter{2000};
  static constexpr std::size_t kWholeBody = 65536;  // a longer one is streamed
  // Output that nobody wants (of HEAD, of a redirect) is read up to this much, so that the connection lives on.
  static constexpr std::uint64_t kMostDiscarded = 256 * 1024;
  // Small records that have come together are passed on as one chunk; one of this size goes alone, uncopied.
  static constexpr std::size_t kLargeRun = 16384;

  CgiExchange(Call call, std::string head, Framing framing, bool keep);

  // The whole of it, up to the answer.
  static net::Task<CallResult> run(std::unique_ptr<CgiExchange> exchange);

  // ---- the response's body ----
  net::Task<Result<exchange::Chunk>> next();
  std::optional<std::uint64_t> length() const { return left_; }
  // Nobody wants more of the body. Reads what is left where that is little, so that the connection can be given back.
  static void let_go(std::unique_ptr<CgiExchange> exchange);

 private:
  enum class Limit : std::uint8_t { head, silence };
  net::Stream& stream() { return call_.connection->stream(); }
  Result<std::string_view> take();
  net::Task<Result<std::string_view>> output(Limit limit);
  net::Task<Result<bool>> more(Limit limit, net::TimePoint since);
  Error late(net::TimePoint deadline, Limit limit) const;
  std::optional<Error> ended_early() const;
  net::Task<Result<gateway::CgiHead>> read_head();
  net::Task<Result<bool>> read_whole();
  static net::Task<void> discard(std::unique_ptr<CgiExchange> exchange);
  std::string_view gather(std::string_view first);
  std::string_view announced(std::string_view bytes);
  std::unexpected<Error> break_off(Error error);
  CallFailure failure(Error error);
  void finish();

  Call call_;
  net::Loop& loop_;
  std::string head_;  // of the request
  Framing framing_;
  bool keep_;  // the application has been asked to leave the connection open
  gateway::FastcgiReader reader_;
  std::string text_;                   // of the response: its head, and what came of the body before it was streamed
  std::string_view unread_;            // of text_
  std::string piece_;                  // small runs gathered
  std::size_t handed_out_ = 0;         // bytes at the front of the stream's buffer that take() has returned
  std::optional<std::uint64_t> left_;  // of a body whose length the application has announced
  std::optional<Error> broken_;        // for the next call of next()
  bool any_byte_ = false;
  bool was_reset_ = false;
  bool at_end_ = false;  // of the connection
  bool ended_ = false;   // the response has come to its end
  bool too_long_ = false;
  bool refused_ = false;  // the application has turned the request down unseen
  bool pause_due_ = false;
  bool over_ = false;  // next() has returned the end or an error
  std::optional<net::ShortTimer> pause_timer_;
  RequestSender sender_;  // last: uses the connection
};

}  // namespace fivefold::upstream
