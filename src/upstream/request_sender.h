#pragma once
// The sending half of an exchange: head and body, beside whoever reads the response.
#include <sys/uio.h>

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/error.h"
#include "exchange/body.h"
#include "net/stream.h"
#include "upstream/request_head.h"

namespace fivefold::upstream {

// Belongs to the exchange and dies with it; `stream` outlives it. Destroying it lets go of the body.
class RequestSender {
 public:
  // `sendfile`: whether the stream takes file segments as they are (not in TLS).
  RequestSender(net::Stream& stream, exchange::Body body, RequestFraming framing, milliseconds silence, bool sendfile);
  ~RequestSender();
  RequestSender(const RequestSender&) = delete;
  RequestSender& operator=(const RequestSender&) = delete;

  // Writes the head, together with a body that lies in memory; what does not leave at once follows beside the caller.
  // `head` stays valid until this is destroyed. A body that streams is pulled only once the head has left. Code::closed
  // when the connection took nothing because it is dead.
  Result<void> start(std::string_view head);

  bool done() const { return pump_.done(); }  // nothing more will be sent
  bool whole() const { return whole_; }       // everything has been sent
  bool body_touched() const { return touched_; }
  // Why the exchange must end: the body's own error, or Code::program_timeout when the application takes nothing. An
  // application that has stopped reading is none: it may have answered. A fill() that is awaited on the stream is
  // interrupted when this is set.
  const std::optional<Error>& failure() const { return failure_; }
  net::TimePoint last_sent() const { return last_sent_; }
  // An application that takes nothing because nobody takes its answer from it is not silent: whoever reads says when it
  // waits for the application, and when it has got something. Not called: it waits all the time.
  void reader_waits(bool waits) {
    reader_waits_ = waits;
    heard_ = stream_.loop().now();
  }
  // Whoever has read the whole response: what has not been sent is not sent any more.
  void stop() {
    pump_ = {};
    if (self_) *self_ = nullptr;
  }
  // The body, for a request that is to be sent again: only while it has not been touched.
  exchange::Body take_body() { return std::move(body_); }

 private:
  struct Parts {
    std::array<iovec, 3> items{};
    std::size_t first = 0, count = 0;
    void add(std::string_view bytes);
    void consume(std::size_t bytes);
    bool done() const { return first == count; }
    std::span<const iovec> rest() const { return std::span(items).subspan(first, count - first); }
  };
  bool streams() const;
  net::Task<void> run(Parts parts);
  net::Task<bool> send(Parts parts);
  net::Task<bool> send_file(exchange::FileSegment segment);
  net::Task<bool> send_stream();
  net::Task<bool> send_records(std::string_view bytes, bool last);
  net::Task<bool> wait_writable();
  void give_up(Error error);

  net::Stream& stream_;
  exchange::Body body_;
  RequestFraming framing_;
  milliseconds silence_;
  bool sendfile_;
  bool whole_ = false;
  bool touched_ = false;
  bool reader_waits_ = true;
  net::TimePoint heard_{};
  std::optional<Error> failure_;
  net::TimePoint last_sent_{};
  std::shared_ptr<RequestSender*> self_;  // for the interruption that is on its way; null when there is none
  net::Running pump_;                     // last: destroyed before what it uses
};

}  // namespace fivefold::upstream
