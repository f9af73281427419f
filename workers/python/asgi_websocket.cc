#include "asgi_websocket.h"

#include "asgi.h"
#include "header_rules.h"

namespace fivefold::python {
namespace {

// Codes of RFC 6455 section 7.4.1.
constexpr std::uint16_t kNormal = 1000, kNoCode = 1005, kLost = 1006, kServerFailed = 1011, kRestart = 1012;

struct Names {
  Ref type, text, bytes, code, reason, subprotocol, headers;
  Ref connect, receive, disconnect, accept, send, close, start, body;
  bool make() {
    const auto name = [](Ref& ref, const char* text) {
      ref = Ref::take(PyUnicode_InternFromString(text));
      return static_cast<bool>(ref);
    };
    return name(type, "type") && name(text, "text") && name(bytes, "bytes") && name(code, "code") &&
           name(reason, "reason") && name(subprotocol, "subprotocol") && name(headers, "headers") &&
           name(connect, "websocket.connect") && name(receive, "websocket.receive") &&
           name(disconnect, "websocket.disconnect") && name(accept, "websocket.accept") &&
           name(send, "websocket.send") && name(close, "websocket.close") &&
           name(start, "websocket.http.response.start") && name(body, "websocket.http.response.body");
  }
};
Names* names = nullptr;

bool put(const Ref& dict, const Ref& key, PyObject* value) {
  return value != nullptr && PyDict_SetItem(dict.get(), key.get(), value) == 0;
}

Ref event_of(const Ref& type) {
  Ref event = Ref::take(PyDict_New());
  return event && put(event, names->type, type.get()) ? std::move(event) : Ref();
}

Ref disconnect_event(const WebSocketStream::Close& end) {
  Ref event = event_of(names->disconnect);
  const Ref code = Ref::take(PyLong_FromLong(end.code));
  const Ref reason =
      Ref::take(PyUnicode_DecodeUTF8(end.reason.data(), static_cast<Py_ssize_t>(end.reason.size()), "surrogateescape"));
  return event && put(event, names->code, code.get()) && put(event, names->reason, reason.get()) ? std::move(event)
                                                                                                 : Ref();
}

// A value of an event; nullptr for None and for none at all.
PyObject* value_of(PyObject* event, const Ref& key) {
  PyObject* value = PyDict_GetItemWithError(event, key.get());
  return value == Py_None ? nullptr : value;
}

bool refuse(PyObject* kind, const char* message) {
  PyErr_Format(kind, "send(): %s", message);
  return false;
}

// Whether an endpoint may say this code (RFC 6455 section 7.4).
bool may_be_sent(long code) {
  return (code >= 1000 && code <= 1014 && code != 1004 && code != kNoCode && code != kLost) ||
         (code >= 3000 && code <= 4999);
}

}  // namespace

bool AsgiWebSocket::prepare() {
  names = new Names;
  return names->make() && prepare_handshakes();
}

// ---- the handshake ----

bool AsgiWebSocket::offered(const WebSocketOffer& offer) {
  body_over_ = false;  // the request has none; the connection begins
  const auto accept = accept_key(offer.key);
  accept_head_ = "Status: 101\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + accept + "\r\n";
  terms_ = DeflateTerms::choose(offer.extensions);
  if (terms_) accept_head_ += "Sec-WebSocket-Extensions: " + terms_->answer() + "\r\n";
  return !accept.empty();
}

bool AsgiWebSocket::accept(PyObject* event) {
  head_ = accept_head_;
  if (PyObject* protocol = value_of(event, names->subprotocol); protocol != nullptr) {
    std::string_view name;
    if (!PyUnicode_Check(protocol) || !latin1_bytes(protocol, name) || !is_token(name))
      return refuse(PyExc_ValueError, "the subprotocol must be a str that is one word");
    head_.append("Sec-WebSocket-Protocol: ").append(name).append("\r\n");
  }
  if (PyObject* headers = value_of(event, names->headers); headers != nullptr) {
    const Ref iterator = Ref::take(PyObject_GetIter(headers));
    while (const Ref pair = Ref::take(iterator ? PyIter_Next(iterator.get()) : nullptr)) {
      const std::size_t before = head_.size();
      if (!write_header(pair.get(), 204)) return false;  // without a Content-Length
      if (head_.size() > before + 14 && equals_lower(std::string_view(head_).substr(before, 14), "sec-websocket-"))
        return refuse(PyExc_ValueError, "Sec-WebSocket-... headers are the server's; say subprotocol=");
    }
  }
  if (PyErr_Occurred() != nullptr) return false;
  const auto& limits = worker()->websocket_limits();
  talk_.reset(new WebSocketStream(*this, limits.max_size, terms_));
  state_ = State::accepted;
  head_sent_ = started_ = true;
  channel_->put(protocol::Frame::head, 0, stream_, head_);
  deadline_ = 0;  // the time limit was the handshake's
  if (limits.ping_interval_ms > 0) order_ping(now() + limits.ping_interval_ms);
  ask_for_more();
  return true;
}

bool AsgiWebSocket::take_event(PyObject* kind, PyObject* event) {
  if (channel_ == nullptr || disconnected_ || (end_ && !close_told_)) {
    set_client_left("send(): the client has left");
    return false;
  }
  if (state_ != State::accepted) {
    if (state_ == State::offered && is(kind, names->accept)) return accept(event);
    if (state_ == State::offered && is(kind, names->close)) {
      state_ = State::refused;
      started_ = head_sent_ = complete_ = true;
      channel_->put(protocol::Frame::head, 0, stream_, "Status: 403 Forbidden\r\nContent-Length: 0\r\n");
      channel_->completed(stream_);
      wake(receivers);
      return true;
    }
    if (state_ == State::offered && is(kind, names->start)) {
      if (!take_start(event)) return false;
      state_ = State::refused;
      return true;
    }
    if (state_ == State::refused && is(kind, names->body)) return take_body(event);
  } else if (end_) {
    return refuse(PyExc_RuntimeError, "the WebSocket has been closed by websocket.close");
  } else {
    if (is(kind, names->send)) return send_message(event);
    if (is(kind, names->close)) return close(event);
  }
  PyErr_Format(PyExc_ValueError, "send(): an event of type %.200R has no place %s", kind,
               state_ == State::offered    ? "before websocket.accept"
               : state_ == State::accepted ? "in a WebSocket that is open"
                                           : "in a WebSocket that was refused");
  return false;
}

// ---- to the client ----

bool AsgiWebSocket::send_message(PyObject* event) {
  PyObject* text = value_of(event, names->text);
  PyObject* bytes = value_of(event, names->bytes);
  if ((text == nullptr) == (bytes == nullptr))
    return refuse(PyExc_ValueError, "websocket.send has either \"text\" or \"bytes\"");
  if (bytes != nullptr) {
    Py_buffer view;
    if (PyObject_GetBuffer(bytes, &view, PyBUF_SIMPLE) != 0) return false;
    talk_->send(false, {static_cast<const char*>(view.buf), static_cast<std::size_t>(view.len)});
    PyBuffer_Release(&view);
  } else {
    Py_ssize_t size = 0;
    if (!PyUnicode_Check(text)) return refuse(PyExc_TypeError, "the text of websocket.send must be a str");
    const char* utf8 = PyUnicode_AsUTF8AndSize(text, &size);
    if (utf8 == nullptr) return false;
    talk_->send(true, {utf8, static_cast<std::size_t>(size)});
  }
  send_some();
  return true;
}

bool AsgiWebSocket::close(PyObject* event) {
  PyObject* code = value_of(event, names->code);
  PyObject* reason = value_of(event, names->reason);
  const long number = code == nullptr ? kNormal : PyLong_Check(code) ? PyLong_AsLong(code) : -1;
  PyErr_Clear();
  if (!may_be_sent(number))
    return refuse(PyExc_ValueError, "the code of websocket.close must be one of RFC 6455, or from 3000 to 4999");
  Py_ssize_t size = 0;
  const char* utf8 = "";
  if (reason != nullptr && !PyUnicode_Check(reason)) return refuse(PyExc_TypeError, "the reason must be a str");
  if (reason != nullptr) utf8 = PyUnicode_AsUTF8AndSize(reason, &size);
  if (utf8 == nullptr) return false;
  if (static_cast<std::size_t>(size) > WebSocketStream::kMostReason)
    return refuse(PyExc_ValueError, "the reason of websocket.close has at most 123 bytes");
  goodbye(static_cast<std::uint16_t>(number), {utf8, static_cast<std::size_t>(size)});
  return true;
}

void AsgiWebSocket::goodbye(std::uint16_t code, std::string_view reason) {
  close_told_ = true;
  end_ = WebSocketStream::Close{code, std::string(reason)};
  std::exchange(queue_, {});
  queued_ = 0;
  talk_->close(code, reason);
  talk_->resume();  // nothing that comes is kept from now on
  look_at(now() + worker()->websocket_limits().close_timeout_ms);
  look();
}

// ---- from the client ----

bool AsgiWebSocket::has_room() const { return close_told_ || (queued_ < kMostQueued && unsent_.size() < kMostQueued); }

bool AsgiWebSocket::on_message(bool text, std::string_view bytes) {
  Ref message = Ref::take(text ? PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), nullptr)
                               : PyBytes_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size())));
  if (!message) {
    PyErr_Clear();
    return false;
  }
  if (close_told_) return true;
  queued_ += bytes.size() + sizeof(Ref);
  queue_.push_back(std::move(message));
  return true;
}

void AsgiWebSocket::on_body(std::string_view bytes, bool last) {
  if (bytes.size() > wanted_) return on_disconnect();  // more than it was asked for
  wanted_ -= bytes.size();
  heard_ = true;
  if (talk_ == nullptr) return;
  talk_->take(bytes);
  body_over_ = body_over_ || last;
  look();
}

void AsgiWebSocket::on_window(std::uint32_t more) {
  window_ += more;
  if (talk_ == nullptr) return AsgiExchange::on_window(0);
  send_some();
  talk_->resume();
  look();
}

void AsgiWebSocket::look() {
  if (talk_ == nullptr) return;
  if (!end_ && talk_->closed()) {
    end_ = talk_->closed();
    look_at(now() + worker()->websocket_limits().close_timeout_ms);
  }
  send_some();
  if (unsent_.empty()) wake(senders);
  if (talk_->over() && unsent_.empty()) return end_connection();
  // Without more bytes there is no goodbye. What waits for room is looked at once there is some.
  if (body_over_ && !talk_->over() && has_room()) return lost();
  if (!queue_.empty() || end_) wake(receivers);
  ask_for_more();
}

void AsgiWebSocket::ask_for_more() {
  if (!has_room() || body_over_ || wanted_ > kWant / 2 || channel_ == nullptr) return;
  const auto more = static_cast<std::uint32_t>(kWant - wanted_);
  wanted_ = kWant;
  channel_->put(protocol::Frame::want, 0, stream_, {reinterpret_cast<const char*>(&more), sizeof more});
}

Ref AsgiWebSocket::next_event() {
  if (!connect_told_) {
    connect_told_ = true;
    return event_of(names->connect);
  }
  if (!queue_.empty()) {
    const Ref message = std::move(queue_.front());
    queue_.pop_front();
    const bool text = PyUnicode_Check(message.get());
    std::size_t size = sizeof(Ref);
    if (text) {
      Py_ssize_t length = 0;
      if (PyUnicode_AsUTF8AndSize(message.get(), &length) == nullptr) return {};
      size += static_cast<std::size_t>(length);
    } else {
      size += bytes_of(message.get()).size();
    }
    queued_ -= size;
    if (talk_ != nullptr) {
      talk_->resume();
      look();
    }
    Ref event = event_of(names->receive);
    return event && put(event, text ? names->text : names->bytes, message.get()) ? std::move(event) : Ref();
  }
  if (end_) return disconnect_event(*end_);
  if (channel_ == nullptr || disconnected_ || complete_) return disconnect_event({kLost, {}});
  return {};
}

// ---- ends ----

void AsgiWebSocket::lost() {
  if (!end_) end_ = WebSocketStream::Close{kLost, {}};
  end_connection();
}

void AsgiWebSocket::on_disconnect() {
  AsgiExchange::on_disconnect();
  if (talk_ != nullptr) lost();
}

// Nobody is there any more to hear the client's goodbye.
void AsgiWebSocket::on_leaving() {
  if (open()) goodbye(kRestart, {});
  if (talk_ != nullptr) end_connection();
}

void AsgiWebSocket::end_connection() {
  talk_.reset();
  unsent_ = std::string();
  if (!ended_ && channel_ != nullptr) channel_->put(protocol::Frame::end, app_over_ ? protocol::kIdle : 0, stream_);
  ended_ = true;
  if (app_over_) return leave();
  look_at(limit_ms_ != 0 ? now() + limit_ms_ : 0);
  wake(receivers);
  wake(senders);
}

// Those of many connections at once: each look goes through all requests of a channel.
void AsgiWebSocket::order_ping(std::int64_t at) { look_at((at / kPingStep + 1) * kPingStep); }

void AsgiWebSocket::on_deadline() {
  if (talk_ == nullptr) return AsgiExchange::on_deadline();
  if (end_) return lost();  // no goodbye has come
  const auto& limits = worker()->websocket_limits();
  // A client that may not send cannot answer, and one that has not taken what was before the ping does not know of it.
  const bool may_answer = wanted_ > 0 && unsent_.empty();
  if (pinged_at_ != 0 && limits.ping_timeout_ms > 0 && !heard_ && may_answer) {
    end_ = WebSocketStream::Close{kLost, "no answer to a ping"};
    talk_->close(kServerFailed, "no answer to a ping");
    send_some();
    return lost();
  }
  const auto due = pinged_at_ + limits.ping_interval_ms;
  if (std::exchange(pinged_at_, 0) != 0 && now() < due) return order_ping(due);
  if (may_answer) {
    heard_ = false;
    pinged_at_ = now();
    talk_->ping();
    send_some();
  }
  order_ping(now() + (limits.ping_timeout_ms > 0 ? limits.ping_timeout_ms : limits.ping_interval_ms));
}

void AsgiWebSocket::finished(std::optional<Failure> failure) {
  if (channel_ == nullptr) return;
  if (state_ != State::accepted) return AsgiExchange::finished(std::move(failure));
  app_over_ = true;
  task_ = {};
  if (failure) log_failure(*failure);
  if (talk_ != nullptr) {
    if (!end_) goodbye(failure ? kServerFailed : kNormal, {});
    return;  // until the client has said goodbye
  }
  channel_->put(protocol::Frame::idle, 0, stream_);
  leave();
}

}  // namespace fivefold::python
