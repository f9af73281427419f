#include "websocket_stream.h"

#include <algorithm>
#include <new>
#include <utility>

namespace fivefold::python {
namespace {

// Section 7.4.1.
constexpr std::uint16_t kProtocolError = 1002, kNoCode = 1005, kNotUtf8 = 1007, kTooLarge = 1009;

const std::uint8_t* octets(std::string_view bytes) { return reinterpret_cast<const std::uint8_t*>(bytes.data()); }

}  // namespace

struct WebSocketStream::Callbacks {
  static WebSocketStream& of(void* self) { return *static_cast<WebSocketStream*>(self); }

  static ssize_t read(wslay_event_context_ptr context, std::uint8_t* to, std::size_t most, int, void* data) {
    WebSocketStream& self = of(data);
    const std::size_t size = std::min(most, self.input_.size() - self.read_);
    if (size == 0 || !self.listener_.has_room()) {
      wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
      return -1;
    }
    self.input_.copy(reinterpret_cast<char*>(to), size, self.read_);
    self.read_ += size;
    return static_cast<ssize_t>(size);
  }

  static ssize_t write(wslay_event_context_ptr, const std::uint8_t* bytes, std::size_t size, int, void* data) {
    of(data).listener_.on_output({reinterpret_cast<const char*>(bytes), size});
    return static_cast<ssize_t>(size);
  }

  static void begin(wslay_event_context_ptr, const wslay_event_on_frame_recv_start_arg* frame, void* data) {
    of(data).on_frame(*frame);
  }

  static void payload(wslay_event_context_ptr, const wslay_event_on_frame_recv_chunk_arg* chunk, void* data) {
    of(data).on_payload({reinterpret_cast<const char*>(chunk->data), chunk->data_length});
  }

  static void end(wslay_event_context_ptr, void* data) { of(data).on_frame_end(); }

  static void message(wslay_event_context_ptr, const wslay_event_on_msg_recv_arg* message, void* data) {
    if (message->opcode == WSLAY_CONNECTION_CLOSE) of(data).on_close(*message);
  }

  static constexpr wslay_event_callbacks kAll = {read, write, nullptr, begin, payload, end, message};
};

WebSocketStream::WebSocketStream(Listener& listener, std::size_t max_size, const std::optional<DeflateTerms>& deflate)
    : listener_(listener), max_size_(max_size), deflate_(deflate ? new WebSocketDeflate(*deflate) : nullptr) {
  if (!open()) throw std::bad_alloc();
}

WebSocketStream::~WebSocketStream() { wslay_event_context_free(context_); }

bool WebSocketStream::open() {
  wslay_event_context_free(std::exchange(context_, nullptr));
  if (wslay_event_context_server_init(&context_, &Callbacks::kAll, this) != 0) return false;
  // The messages are gathered here, where their size is known after inflating.
  wslay_event_config_set_no_buffering(context_, 1);
  if (deflate_) wslay_event_config_set_allowed_rsv_bits(context_, WSLAY_RSV1_BIT);
  return true;
}

// ---- from the client ----

void WebSocketStream::take(std::string_view bytes) {
  if (closed_) return;
  input_ += bytes;
  const bool had_closed = close_sent();
  const int result = wslay_event_recv(context_);
  if (result != 0 && !closed_) {
    // What wslay gives up without a code is no frame: one of control that is too long or in fragments, a length that is
    // not the shortest. Its context says nothing more; another says goodbye.
    closed_ = Close{kProtocolError, {}};
    if (!had_closed && open()) wslay_event_queue_close(context_, kProtocolError, nullptr, 0);
  }
  flush();
  if (!closed_ && wslay_event_get_read_enabled(context_) == 0) {
    closed_ = Close{had_closed ? kProtocolError : wslay_event_get_status_code_sent(context_), {}};
  }
  if (read_ == input_.size() || closed_) {
    input_.clear();
    read_ = 0;
  } else if (read_ > input_.size() / 2) {
    input_.erase(0, std::exchange(read_, 0));
  }
}

void WebSocketStream::fail(std::uint16_t code) {
  closed_ = Close{code, {}};
  wslay_event_shutdown_read(context_);
  wslay_event_queue_close(context_, code, nullptr, 0);
}

void WebSocketStream::on_frame(const wslay_event_on_frame_recv_start_arg& frame) {
  const bool control = wslay_is_ctrl_frame(frame.opcode);
  const bool begins = frame.opcode == WSLAY_TEXT_FRAME || frame.opcode == WSLAY_BINARY_FRAME;
  data_ = !control;
  last_ = frame.fin != 0;
  // Compression is a message's, told by its first frame (RFC 7692 section 6).
  if (frame.rsv != 0 && !begins) return fail(kProtocolError);
  if (frame.opcode == WSLAY_CONNECTION_CLOSE && frame.payload_length == 1) return fail(kProtocolError);
  if (begins) {
    text_ = frame.opcode == WSLAY_TEXT_FRAME;
    compressed_ = frame.rsv != 0;
    message_.clear();
  }
  if (data_ && !compressed_ && frame.payload_length > max_size_ - message_.size()) fail(kTooLarge);
}

void WebSocketStream::on_payload(std::string_view bytes) {
  if (!data_ || closed_) return;
  if (!compressed_) {
    message_ += bytes;
    return;
  }
  if (bytes.empty()) return;
  const auto inflated = deflate_->inflate(bytes, message_, max_size_);
  if (inflated != WebSocketDeflate::Inflated::yes)
    fail(inflated == WebSocketDeflate::Inflated::too_large ? kTooLarge : kNotUtf8);
}

void WebSocketStream::on_frame_end() {
  if (!data_ || !last_ || closed_) return;
  if (compressed_) {
    const auto inflated = deflate_->inflate_end(message_, max_size_);
    if (inflated != WebSocketDeflate::Inflated::yes)
      return fail(inflated == WebSocketDeflate::Inflated::too_large ? kTooLarge : kNotUtf8);
  }
  if (!listener_.on_message(text_, message_)) return fail(kNotUtf8);
  if (message_.capacity() > 64 * 1024) message_ = std::string();
}

void WebSocketStream::on_close(const wslay_event_on_msg_recv_arg& frame) {
  if (closed_) return;
  closed_ = Close{frame.status_code != 0 ? frame.status_code : kNoCode, {}};
  if (frame.msg_length > 2) closed_->reason.assign(reinterpret_cast<const char*>(frame.msg) + 2, frame.msg_length - 2);
}

// ---- to the client ----

void WebSocketStream::flush() { wslay_event_send(context_); }

void WebSocketStream::send(bool text, std::string_view bytes) {
  const std::string deflated = deflate_ ? deflate_->deflate(bytes) : std::string();
  if (deflate_) bytes = deflated;
  const wslay_event_msg message = {static_cast<std::uint8_t>(text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME),
                                   octets(bytes), bytes.size()};
  wslay_event_queue_msg_ex(context_, &message, deflate_ ? WSLAY_RSV1_BIT : WSLAY_RSV_NONE);
  flush();
}

void WebSocketStream::ping() {
  const wslay_event_msg message = {WSLAY_PING, nullptr, 0};
  wslay_event_queue_msg(context_, &message);
  flush();
}

void WebSocketStream::close(std::uint16_t code, std::string_view reason) {
  wslay_event_queue_close(context_, code, octets(reason), std::min(reason.size(), kMostReason));
  flush();
}

bool WebSocketStream::close_sent() const { return wslay_event_get_close_sent(context_) != 0; }

}  // namespace fivefold::python
