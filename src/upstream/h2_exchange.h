#pragma once
// One request and its response on one HTTP/2 stream: what call_h2c() drives, and afterwards the response's body.
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "exchange/body.h"
#include "upstream/h2c_call.h"

namespace fivefold::upstream {

// Destroyed at any point, it lets go of the stream (RST_STREAM where it goes on) and of the owner.
class H2Exchange final : public exchange::BodySource, private H2StreamEvents {
 public:
  static constexpr std::size_t kWholeBody =
      65536;  // a response that has come whole and is no longer is returned as bytes
  // One of known length whose head came first is waited for this long, as in HTTP/1.1.
  static constexpr milliseconds kRestWait{20};
  static constexpr unsigned kMostInterim = 64;

  H2Exchange(H2Connection& home, Call call);
  ~H2Exchange() override;

  // Gets a stream and sends the head, and what of the body can go. An error: the request has not left.
  net::Task<Result<void>> send(const OutgoingHead& head);
  // Up to the final response's head, interim ones passed on.
  net::Task<Result<void>> receive();
  static Answer answer(std::unique_ptr<H2Exchange> exchange);
  CallFailure failure(Error error);

  // ---- the response's body ----
  net::Task<Result<exchange::Chunk>> next() override;
  std::optional<std::uint64_t> length() const override { return left_; }
  const http::Headers* trailers() const override { return ended_ && !trailers_.empty() ? &trailers_ : nullptr; }

 private:
  // ---- what happens on the stream ----
  void block_began() override;
  bool field(std::string_view name, std::string_view value) override;
  void block_ended() override;
  void data(std::string_view bytes) override;
  void ended() override;
  std::size_t read_body(char* into, std::size_t size, bool& end) override;
  void closed(std::uint32_t error_code) override;
  void lost(const Error& error) override;

  Result<std::optional<std::uint64_t>> request_length() const;
  net::Task<void> pump();
  void give_up(Error error);
  bool sent_whole() const { return sent_end_; }
  bool sending() const { return !pump_.done() && !gone_; }
  net::Task<Result<void>> wait(net::TimePoint since, milliseconds silence);
  net::Task<Result<void>> receive_rest();
  std::optional<Error> trouble() const;
  std::unexpected<Error> break_off(Error error);
  void end_stream();
  void finish();

  H2Connection& home_;
  Call call_;
  std::shared_ptr<H2Session> session_;
  std::int32_t stream_ = 0;  // 0: none
  bool reused_ = false;
  Wakeup changed_;  // for whoever reads
  net::TimePoint began_{};
  // The request's body.
  Wakeup taken_;              // for the pump
  std::string_view sending_;  // the chunk that is on its way
  std::optional<std::uint64_t> body_left_;
  bool body_end_ = false;  // nothing comes behind sending_
  bool sent_end_ = false;
  bool touched_ = false;
  bool reader_waits_ = false;
  net::TimePoint heard_{};  // when the reader last began to wait, or got something
  net::TimePoint last_sent_{};
  // The response.
  http::Headers block_;
  std::size_t block_size_ = 0;
  int block_status_ = 0;
  std::deque<std::pair<int, http::Headers>> interim_;
  unsigned interim_seen_ = 0;
  int status_ = 0;
  http::Headers fields_, trailers_;
  std::string send_file_;
  std::optional<std::uint64_t> left_;  // of the body that has not been passed on, when its length was announced
  std::string received_, piece_;
  bool whole_ = false;  // the response has come to its end
  bool gone_ = false;   // the stream is closed
  bool ended_ = false;  // and has been read to its end
  bool came_to_nothing_ = false;
  bool refused_ = false;
  std::optional<Error> failure_;  // of the stream or the connection: the application's
  std::optional<Error> own_;      // of the request's body, or of this end
  std::optional<Error> broken_;
  net::Running pump_;  // last: uses the above
};

}  // namespace fivefold::upstream
