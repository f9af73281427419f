#pragma once
// One WebSocket of an ASGI application (asgiref's www.rst, "WebSocket"): the handshake as the application decides it,
// then messages both ways.
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "asgi_exchange.h"
#include "websocket_stream.h"

namespace fivefold::python {

// The settings of a worker.
struct WebSocketLimits {
  std::size_t max_size = 16 * 1024 * 1024;    // bytes of a message, inflated
  std::int64_t ping_interval_ms = 20 * 1000;  // 0: no pings
  std::int64_t ping_timeout_ms = 20 * 1000;   // without a byte from the client after a ping
  std::int64_t close_timeout_ms = 10 * 1000;  // for the client's goodbye
};

class AsgiWebSocket final : public AsgiExchange, private WebSocketStream::Listener {
 public:
  static constexpr std::size_t kMostQueued = 64 * 1024;  // bytes of messages that wait for receive()
  static constexpr std::int64_t kPingStep = 250;         // milliseconds between two looks for pings that are due

  // Makes what events are made of; false with an exception set when that fails. Once, in the zygote.
  static bool prepare();

  void on_body(std::string_view bytes, bool last) override;
  void on_window(std::uint32_t more) override;
  void on_disconnect() override;
  void on_leaving() override;
  void on_deadline() override;
  Ref next_event() override;
  void finished(std::optional<Failure> failure) override;

 private:
  enum class State : char { offered, accepted, refused };

  bool offered(const WebSocketOffer& offer) override;
  bool take_event(PyObject* kind, PyObject* event) override;

  bool on_message(bool text, std::string_view bytes) override;
  void on_output(std::string_view bytes) override { unsent_ += bytes; }
  bool has_room() const override;

  bool accept(PyObject* event);
  bool send_message(PyObject* event);
  bool close(PyObject* event);
  void goodbye(std::uint16_t code, std::string_view reason);
  // The connection has gone without a goodbye.
  void lost();
  // After anything came or went: what follows from the stream's state.
  void look();
  void end_connection();
  void ask_for_more();
  void order_ping(std::int64_t at);
  bool open() const { return talk_ != nullptr && !end_; }

  State state_ = State::offered;
  std::string accept_head_;
  std::optional<DeflateTerms> terms_;
  std::unique_ptr<WebSocketStream> talk_;      // while the connection lives
  std::optional<WebSocketStream::Close> end_;  // what the application is told of the end
  std::deque<Ref> queue_;                      // str or bytes
  std::size_t queued_ = 0;                     // bytes of them
  bool close_told_ = false;                    // by this side
  bool connect_told_ = false, app_over_ = false, heard_ = false;
  std::int64_t pinged_at_ = 0;  // milliseconds of the monotonic clock; 0: no answer is awaited
};

}  // namespace fivefold::python
