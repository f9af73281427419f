#pragma once
// One HTTP/1.1 request and its response on one connection: what call_http() drives, and afterwards the response's body.
#include <memory>
#include <optional>
#include <string>

#include "exchange/body.h"
#include "http/chunked.h"
#include "http/response_parser.h"
#include "upstream/call.h"
#include "upstream/request_sender.h"

namespace fivefold::upstream {

// Destroyed at any point, it closes the connection (or gives it back, when the exchange was over) and lets the owner
// go.
class HttpExchange final : public exchange::BodySource {
 public:
  // A short body whose head came first is waited for this long, so that both are passed on as one and the connection is
  // free again at once. Only where its length is known: what streams is passed on as it comes.
  static constexpr milliseconds kRestWait{20};
  static constexpr std::uint64_t kShortBody = 65536;
  static constexpr unsigned kMostInterim = 64;  // interim responses before the one that counts

  explicit HttpExchange(Call call);
  ~HttpExchange() override;

  // Writes what can be written now. An error: the request has not left.
  Result<void> send(const OutgoingHead& head);
  // Up to the final response's head, interim ones passed on; then also the body, if that is short and there.
  net::Task<Result<void>> receive();
  // After receive(): the response, which owns this if its body is still to come.
  static Answer answer(std::unique_ptr<HttpExchange> exchange);
  // After an error of send() or receive(). The connection is closed.
  CallFailure failure(Error error);

  // ---- the response's body ----
  net::Task<Result<exchange::Chunk>> next() override;
  std::optional<std::uint64_t> length() const override;
  const http::Headers* trailers() const override;

  // ---- an upgraded connection ----
  net::Stream& stream() { return call_.connection->stream(); }
  const CallTimeouts& timeouts() const { return call_.timeouts; }

 private:
  using Framing = http::ReceivedHead::Framing;
  Result<RequestFraming> request_framing() const;
  const http::ReceivedHead& received() const { return call_.connection->received_head; }
  // More bytes; 0 at the end of the stream. Code::program_timeout when `silence` has passed since `since` and the last
  // byte of the request, or the call's deadline has; the sender's own failure.
  net::Task<Result<std::size_t>> read(net::TimePoint since, milliseconds silence);
  net::Task<Result<bool>> receive_head();  // whether it is the final one
  net::Task<Result<void>> receive_rest();
  Result<void> take_head(std::size_t size);
  Result<void> accept_upgrade() const;
  Result<http::Headers> end_to_end_fields(std::size_t head_size);
  void read_keep_alive(std::string_view value);
  Result<void> look_for_whole_chunked();
  Result<exchange::Chunk> next_chunked();
  bool whole_is_buffered() const;
  exchange::Body take_whole();
  bool ends_by_closing() const;
  std::unexpected<Error> ended_early() const;
  std::unexpected<Error> break_off(Error error);
  void finish();

  Call call_;
  std::optional<RequestSender> sender_;  // uses the connection
  http::ResponseHeadParser parser_;
  http::ChunkedDecoder decoder_;
  http::ChunkedDecoder::Trailers trailers_;
  net::TimePoint began_{};
  std::string upgrade_;  // what was asked for
  // The final response's head.
  int status_ = 0;
  std::string reason_;
  http::Headers fields_;
  std::string send_file_;
  std::optional<std::uint64_t> announced_;
  Framing framing_ = Framing::none;
  bool reusable_ = false;
  // Its body.
  std::string piece_;             // small chunks that came together
  std::size_t handed_out_ = 0;    // bytes of the stream's buffer that the last chunk was in
  std::uint64_t left_ = 0;        // of a body of known length
  std::uint64_t passed_on_ = 0;   // bytes of the body so far
  std::uint64_t whole_size_ = 0;  // of a chunked body that lies in the buffer to its end
  bool whole_chunked_ = false;
  unsigned interim_ = 0;
  bool any_byte_ = false;
  bool was_reset_ = false;
  bool came_to_nothing_ = false;
  bool ended_ = false;  // the response has come to its end and the connection is gone
  std::optional<Error> broken_;
};

}  // namespace fivefold::upstream
