#pragma once
// One WebSocket connection (RFC 6455), the server's side, without input or output of its own: bytes in, messages out,
// and the other way round. The framing is wslay's; what is beyond it (compression, limits, what ends a connection) is
// here.
#include <wslay/wslay.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "websocket_deflate.h"

namespace fivefold::python {

class WebSocketStream {
 public:
  static constexpr std::size_t kMostReason = 123;  // bytes of a close frame's reason (section 5.5)

  // Whom the stream tells; outlives it.
  class Listener {
   public:
    // A message is whole. False: it is no UTF-8, though a text.
    virtual bool on_message(bool text, std::string_view bytes) = 0;
    // Bytes for the client.
    virtual void on_output(std::string_view bytes) = 0;
    // Whether more messages may come; resume() tells of room.
    virtual bool has_room() const = 0;

   protected:
    ~Listener() = default;
  };

  struct Close {
    std::uint16_t code = 0;
    std::string reason;
  };

  // `max_size`: bytes of a message, after it is inflated. Throws std::bad_alloc.
  WebSocketStream(Listener& listener, std::size_t max_size, const std::optional<DeflateTerms>& deflate);
  ~WebSocketStream();
  WebSocketStream(const WebSocketStream&) = delete;
  WebSocketStream& operator=(const WebSocketStream&) = delete;

  // ---- from the client ----
  // Bytes of the connection. Those that the listener has no room for are kept.
  void take(std::string_view bytes);
  void resume() { take({}); }
  // How the client, or what it sent, has ended the connection: nothing of it follows.
  const std::optional<Close>& closed() const { return closed_; }

  // ---- to the client ----
  void send(bool text, std::string_view bytes);
  void ping();
  // The first counts; nothing can be sent afterwards. `reason` has kMostReason bytes at most.
  void close(std::uint16_t code, std::string_view reason);
  bool close_sent() const;
  // Both have said goodbye, or what came made more talk useless.
  bool over() const { return closed_ && close_sent(); }

 private:
  struct Callbacks;
  bool open();
  void fail(std::uint16_t code);
  void on_frame(const wslay_event_on_frame_recv_start_arg& frame);
  void on_payload(std::string_view bytes);
  void on_frame_end();
  void on_close(const wslay_event_on_msg_recv_arg& frame);
  void flush();

  Listener& listener_;
  const std::size_t max_size_;
  wslay_event_context* context_ = nullptr;
  std::unique_ptr<WebSocketDeflate> deflate_;
  std::string input_;  // not looked at yet
  std::size_t read_ = 0;
  std::optional<Close> closed_;

  std::string message_;                                                   // that is coming, inflated
  bool text_ = false, compressed_ = false, data_ = false, last_ = false;  // of the message; of the frame
};

}  // namespace fivefold::python
