#include "asgi_channel.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "asgi.h"
#include "asgi_exchange.h"

namespace fivefold::python {
namespace {

constexpr std::size_t kRead = 64 * 1024;  // bytes at once

}  // namespace

AsgiChannel::~AsgiChannel() {
  for (const auto& [stream, exchange] : exchanges_) Py_DECREF(exchange);
}

bool AsgiChannel::on_readable() {
  worker_.leave_if_forked();
  static std::array<char, kRead> buffer;
  const ssize_t got = recv(descriptor_, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (got <= 0) {
    end();
    return PyErr_Occurred() == nullptr;
  }
  // Whole frames are looked at where they are; what is left of one waits for its rest.
  std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
  if (!in_.empty()) bytes = in_.append(bytes);
  while (!ended_ && bytes.size() >= sizeof(protocol::FrameHeader)) {
    protocol::FrameHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.size > protocol::kMostFrame) {
      end("a frame of an impossible size");
      break;
    }
    if (bytes.size() - sizeof header < header.size) break;
    if (!take_frame(header, bytes.substr(sizeof header, header.size))) return false;
    bytes.remove_prefix(sizeof header + header.size);
  }
  in_ = ended_ ? std::string() : std::string(bytes);
  return true;
}

bool AsgiChannel::take_frame(const protocol::FrameHeader& header, std::string_view payload) {
  if (header.kind == protocol::Frame::request) return begin(header, payload);
  const auto found = exchanges_.find(header.stream);
  if (found == exchanges_.end()) return true;  // sent before the server had seen its end
  AsgiExchange& exchange = AsgiExchange::of(found->second);
  switch (header.kind) {
    case protocol::Frame::body:
      exchange.on_body(payload, (header.flags & protocol::kLast) != 0);
      break;
    case protocol::Frame::body_broken:
    case protocol::Frame::abort:
      exchange.on_disconnect();
      break;
    case protocol::Frame::window: {
      std::uint32_t more = 0;
      if (payload.size() != sizeof more) {
        end("a window of another size than a number's");
        break;
      }
      std::memcpy(&more, payload.data(), sizeof more);
      exchange.on_window(more);
      break;
    }
    default:
      end("a frame that only workers send");
  }
  return PyErr_Occurred() == nullptr;
}

bool AsgiChannel::begin(const protocol::FrameHeader& header, std::string_view payload) {
  protocol::RequestHeader head;
  if (payload.size() < sizeof head || exchanges_.contains(header.stream) || header.stream == 0) {
    end("a request that is none");
    return true;
  }
  std::memcpy(&head, payload.data(), sizeof head);
  payload.remove_prefix(sizeof head);
  if (head.variables_size > payload.size()) {
    end("variables that are longer than their frame");
    return true;
  }
  const bool upgrade = (header.flags & protocol::kUpgrade) != 0;
  WebSocketOffer offer;
  Ref scope = worker_.scope().build(payload.substr(0, head.variables_size), upgrade ? &offer : nullptr);
  if (!scope) return false;
  if (const auto refusal = upgrade ? offer.refusal() : std::string(); !refusal.empty()) {
    put(protocol::Frame::head, 0, header.stream, refusal);
    put(protocol::Frame::end, protocol::kIdle, header.stream);
    return true;
  }
  const AsgiExchange::Request request{
      .stream = header.stream,
      .body_length = head.body_length,
      .time_limit_ms = head.time_limit_ms,
      .body_over = (header.flags & protocol::kLast) != 0,
      .windowed = (header.flags & protocol::kWindowed) != 0,
      .head_only = (header.flags & protocol::kHead) != 0,
      .body = payload.substr(head.variables_size),
      .websocket = upgrade ? &offer : nullptr,
  };
  Ref exchange = AsgiExchange::start(*this, request, std::move(scope));
  if (!exchange) return false;
  exchanges_.emplace(header.stream, exchange.release());
  return true;
}

void AsgiChannel::put(protocol::Frame kind, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
  if (ended_) return;
  const protocol::FrameHeader header{static_cast<std::uint32_t>(payload.size()), kind, flags, 0, stream};
  out_.append(reinterpret_cast<const char*>(&header), sizeof header).append(payload);
  if (waiting_ || will_flush_ || worker_.has_fresh()) return;
  will_flush_ = worker_.call_soon(*this);
}

void AsgiChannel::forget(std::uint32_t stream) {
  const auto found = exchanges_.find(stream);
  if (found == exchanges_.end()) return;
  const Ref exchange = Ref::take(found->second);
  exchanges_.erase(found);
  if (ended_) worker_.look_whether_done();
}

void AsgiChannel::completed(std::uint32_t stream) { completed_.push_back(stream); }

bool AsgiChannel::flush() {
  worker_.leave_if_forked();
  will_flush_ = false;
  // Responses that are whole while their application goes on.
  for (const auto stream : std::exchange(completed_, {}))
    if (const auto found = exchanges_.find(stream); found != exchanges_.end()) {
      will_flush_ = true;  // it is flushed now
      AsgiExchange::of(found->second).end_early();
      will_flush_ = false;
    }
  while (sent_ < out_.size() && !ended_) {
    const ssize_t count = send(descriptor_, out_.data() + sent_, out_.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count >= 0) {
      sent_ += static_cast<std::size_t>(count);
    } else if (errno == EAGAIN) {
      if (!waiting_) waiting_ = worker_.watch_writing(*this, true);
      return PyErr_Occurred() == nullptr;
    } else if (errno != EINTR) {
      end();
    }
  }
  out_.clear();
  sent_ = 0;
  if (waiting_) worker_.watch_writing(*this, false);
  waiting_ = false;
  return PyErr_Occurred() == nullptr;
}

void AsgiChannel::check_time_limits(std::int64_t now, std::int64_t& next) {
  std::vector<Ref> due;
  for (const auto& [stream, exchange] : exchanges_) {
    const auto deadline = AsgiExchange::of(exchange).deadline();
    if (deadline != 0 && deadline <= now)
      due.push_back(Ref::share(exchange));
    else if (deadline != 0 && (next == 0 || deadline < next))
      next = deadline;
  }
  for (const Ref& exchange : due)
    AsgiExchange::of(exchange.get()).on_deadline();  // these order their next by themselves
}

void AsgiChannel::end(const char* nonsense) {
  if (ended_) return;
  if (nonsense != nullptr) std::fprintf(stderr, "The server sent %s; this worker leaves.\n", nonsense);
  ended_ = true;
  worker_.channel_ended(*this);
  for (const Ref& exchange : all()) AsgiExchange::of(exchange.get()).on_disconnect();
  worker_.look_whether_done();
}

void AsgiChannel::tell_leaving() {
  for (const Ref& exchange : all()) AsgiExchange::of(exchange.get()).on_leaving();
}

// What happens to one of them may end others.
std::vector<Ref> AsgiChannel::all() const {
  std::vector<Ref> shared;
  shared.reserve(exchanges_.size());
  for (const auto& [stream, exchange] : exchanges_) shared.push_back(Ref::share(exchange));
  return shared;
}

}  // namespace fivefold::python
