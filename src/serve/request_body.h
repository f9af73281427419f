#pragma once
// The body of a request as it comes from the connection: framing taken away, limits kept, "100 Continue" sent when it
// is first asked for.
#include <cstdint>
#include <memory>

#include "config/config.h"
#include "exchange/body.h"
#include "http/chunked.h"
#include "http/head.h"
#include "net/stream.h"
#include "serve/interim_writer.h"

namespace fivefold::serve {

// Lives with the exchange, which asks it afterwards whether the connection is at the end of the message.
class BodyReader {
 public:
  struct Limits {
    std::uint64_t size = 0;                    // over it: Code::content_too_large
    std::chrono::milliseconds silence{30000};  // without a byte: Code::request_timeout
    std::uint64_t min_rate = 0;                // bytes/s on average after `grace`: Code::request_timeout
    std::chrono::milliseconds grace{10000};
  };

  // `watch` is armed again after each read, and when a read is let go of, so that a client that leaves is noticed
  // between reads. All of it outlives this.
  BodyReader(net::Stream& stream, InterimWriter& interim, const http::Head& head, Limits limits,
             net::StopSource& watch);
  net::Task<Result<exchange::Chunk>> next();
  // A body for the request, which hands out what this reads. Not to be used after the exchange.
  exchange::Body body();

  bool finished() const { return finished_; }
  bool started() const { return started_; }
  std::optional<std::uint64_t> left() const { return chunked_ ? std::nullopt : std::optional(left_); }
  std::uint64_t received() const { return received_; }
  // The handler has begun to wait: from here on a client that leaves is to be noticed.
  void watch_from_now() { watching_ = true; }
  // Gives back what the last chunk handed out. Called when nobody looks at it any more.
  void release();

 private:
  Result<void> check_rate() const;
  net::Stream& stream_;
  InterimWriter& interim_;
  Limits limits_;
  net::StopSource& watch_;
  http::ChunkedDecoder decoder_;
  bool chunked_;
  bool expect_continue_;
  bool started_ = false;
  bool finished_ = false;
  bool watching_ = false;
  std::uint64_t left_ = 0;
  std::uint64_t received_ = 0;
  std::size_t handed_out_ = 0;  // bytes of the stream's buffer behind the chunk that was handed out
  net::TimePoint began_{};
};

}  // namespace fivefold::serve
