#pragma once
// One HTTP/1 connection, from its first byte to its close.
#include <chrono>
#include <memory>

#include "http/head.h"
#include "net/stream.h"
#include "serve/access_log.h"
#include "serve/exchange_state.h"
#include "serve/loop_state.h"
#include "serve/request_body.h"
#include "serve/response_writer.h"

namespace fivefold::serve {

// Read a request, answer it, again; until the client closes, is too slow, breaks the protocol, or the server drains.
// Lives in the coroutine that runs it; `loop` outlives it.
class Http1Session {
 public:
  // Whether a client is still there is looked at when its request takes longer than this.
  static constexpr std::chrono::milliseconds kWatchAfter{20};

  Http1Session(LoopState& loop, UniqueFd fd, exchange::Peer peer, bool proxy_protocol);
  ~Http1Session();
  Http1Session(const Http1Session&) = delete;
  Http1Session& operator=(const Http1Session&) = delete;

  net::Task<void> run();

  // For draining: ends an idle connection now; one that is answering a request ends after it.
  void finish();
  // The same for a server whose successor already serves: an idle connection may ask once more, and is closed after the
  // answer.
  void finish_after_next() { finishing_ = true; }
  // The connection is about to be let go of in the middle: its client shall see a reset.
  void cut() {
    if (!idle_) stream_.set_reset_on_close();
  }
  bool idle() const { return idle_; }
  Http1Session* next_session() const { return next_; }

 private:
  enum class Arrival : std::uint8_t { request, gone, refused };
  net::Task<bool> read_proxy_header();
  net::Task<void> respond_to_request(bool& go_on);
  net::Task<bool> send_response(exchange::Response& response, BodyReader& body, bool keep_alive, bool head_only,
                                AccessEntry& entry);
  Result<void> may_switch_protocols(const exchange::Response& response, const BodyReader& body) const;
  net::Task<void> switch_protocols(exchange::Response& response, AccessEntry entry, net::TimePoint began);
  net::Task<void> refuse(Error error);
  net::Task<bool> discard_rest(BodyReader& body);
  net::Task<void> linger(std::chrono::milliseconds at_most);
  bool may_keep_alive(const BodyReader& body, const Result<exchange::Response>& result) const;
  void break_off();
  const config::Server& settings() const { return loop_.site->site->config().server; }
  void log(AccessEntry& entry, net::TimePoint began);
  void log_failure(const Error& error, int status);
  void set_idle(bool idle);

  LoopState& loop_;
  net::Stream stream_;
  exchange::Peer peer_;
  http::HeadParser parser_;
  std::unique_ptr<ExchangeState> state_;
  net::StopSource client_left_;
  std::uint64_t requests_ = 0;
  bool proxy_protocol_;
  bool idle_ = false;
  bool finishing_ = false;     // no answer promises another request
  bool hurried_ = false;       // an idle wait is a last call only
  bool cut_ = false;           // the close is to be a reset
  bool closes_after_ = false;  // the close is the end of the response's body
  bool unread_input_ = false;  // a close now could reset what was just sent
  Http1Session* previous_ = nullptr;
  Http1Session* next_ = nullptr;
};

}  // namespace fivefold::serve
