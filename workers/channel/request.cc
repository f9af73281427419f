#include "channel/request.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <limits>

namespace fivefold::worker {

namespace {

iovec part(std::string_view bytes) { return {const_cast<char*>(bytes.data()), bytes.size()}; }

void append_header(std::string& out, std::size_t size, protocol::Frame kind, std::uint8_t flags, std::uint32_t stream) {
  const protocol::FrameHeader header{static_cast<std::uint32_t>(size), kind, flags, 0, stream};
  out.append(reinterpret_cast<const char*>(&header), sizeof header);
}

}  // namespace

std::string_view Request::variable(std::string_view name) const {
  for (const Variable& variable : variables_) {
    if (variable.name == name) return variable.value;
  }
  return {};
}

bool Request::begin(Wire& wire, const protocol::FrameHeader& header, std::string_view put_off) {
  wire_ = &wire;
  stream_ = header.stream;
  variables_.clear();
  body_queue_.clear();
  gathered_.clear();
  growing_ = std::string::npos;
  queue_read_ = frame_left_ = 0;
  wanted_ = 0;
  frame_last_ = body_broken_ = aborted_ = finished_ = flushed_ = false;
  body_over_ = (header.flags & protocol::kLast) != 0;
  windowed_ = (header.flags & protocol::kWindowed) != 0;
  head_only_ = (header.flags & protocol::kHead) != 0;
  window_ = protocol::kFirstWindow;

  protocol::RequestHeader head;
  if (header.size < sizeof head || header.size > protocol::kMostFrame) {
    nonsense("a request of an impossible size");
    return false;
  }
  if (storage_.capacity() > 4 * kGathered && header.size < kGathered) storage_ = std::string();
  // libstdc++ 12 offers the function more room than was asked for: the size is the header's.
  storage_.resize_and_overwrite(header.size, [&header](char*, std::size_t) { return header.size; });
  if (!put_off.empty())
    std::memcpy(storage_.data(), put_off.data(), put_off.size());
  else if (!wire.take_all(storage_.data(), header.size))
    return false;
  std::memcpy(&head, storage_.data(), sizeof head);
  std::string_view rest = std::string_view(storage_).substr(sizeof head);
  body_length_ = head.body_length;
  time_limit_ms_ = head.time_limit_ms;
  if (head.variables_size > rest.size()) {
    nonsense("variables that are longer than their frame");
    return false;
  }
  first_body_ = rest.substr(head.variables_size);
  rest = rest.substr(0, head.variables_size);
  while (!rest.empty()) {
    const std::size_t end = rest.find('\0');
    const std::size_t equals = rest.find('=');
    if (end == std::string_view::npos || equals >= end) {
      nonsense("a variable without a value or an end");
      return false;
    }
    storage_[static_cast<std::size_t>(rest.data() - storage_.data()) + equals] = '\0';
    variables_.push_back({rest.substr(0, equals), rest.substr(equals + 1, end - equals - 1)});
    rest.remove_prefix(end + 1);
  }
  if (variables_.size() != head.variables) {
    nonsense("more or fewer variables than it said");
    return false;
  }
  return true;
}

void Request::nonsense(const char* what) {
  std::fprintf(stderr, "The server sent %s; this worker leaves.\n", what);
  nonsense_ = true;
  wire_->end();
}

// ---- what comes while the request is under way ----

void Request::handle(const protocol::FrameHeader& header) {
  if (header.size > protocol::kMostFrame) return nonsense("a frame of an impossible size");
  if (header.kind == protocol::Frame::request) {
    if (!wire_->put_off(header) && !wire_->ended()) nonsense("more requests than wait for one worker");
    return;
  }
  if (header.stream != stream_) {
    wire_->skip(header.size);  // of an earlier request
    return;
  }
  switch (header.kind) {
    case protocol::Frame::body:
      if (header.size > wanted_) return nonsense("more of a body than it was asked for");
      wanted_ -= header.size;
      frame_left_ = header.size;
      frame_last_ = (header.flags & protocol::kLast) != 0;
      if (frame_left_ == 0 && frame_last_) body_over_ = true;
      return;
    case protocol::Frame::body_broken:
      body_broken_ = true;
      wire_->skip(header.size);
      return;
    case protocol::Frame::abort:
      aborted_ = true;
      wire_->skip(header.size);
      return;
    case protocol::Frame::window: {
      std::uint32_t more = 0;
      if (header.size != sizeof more) return nonsense("a window of another size than a number's");
      if (wire_->take_all(reinterpret_cast<char*>(&more), sizeof more)) window_ += more;
      return;
    }
    default:
      return nonsense("a frame that only workers send");
  }
}

// Takes in the next header or bytes of body to queue. false: nothing more is there (Wait::no), or the channel has
// ended.
bool Request::step(Wait wait) {
  const auto buffered = [this] { return wire_->buffered(); };
  if (frame_left_ > 0) {
    if (buffered().empty() && !wire_->fill(wait)) return false;
    const std::size_t size = std::min<std::size_t>(frame_left_, buffered().size());
    body_queue_.append(buffered().substr(0, size));
    frame_left_ -= static_cast<std::uint32_t>(size);
    wire_->consume(size);
    if (frame_left_ == 0 && frame_last_) body_over_ = true;
    return true;
  }
  while (buffered().size() < sizeof(protocol::FrameHeader)) {
    if (!wire_->fill(wait)) return false;
  }
  protocol::FrameHeader header;
  std::memcpy(&header, buffered().data(), sizeof header);
  wire_->consume(sizeof header);
  handle(header);
  return true;
}

void Request::look() {
  while (!wire_->ended() && step(Wait::no)) {
  }
  if (wire_->ended()) aborted_ = body_broken_ = true;
}

bool Request::aborted() {
  if (!detached_ && !finished_) look();
  return aborted_;
}

ssize_t Request::read_body(char* to, std::size_t most, bool until_signal) {
  const Wait wait = until_signal ? Wait::until_signal : Wait::yes;
  if (!first_body_.empty()) {
    const std::size_t size = std::min(most, first_body_.size());
    std::memcpy(to, first_body_.data(), size);
    first_body_.remove_prefix(size);
    return static_cast<ssize_t>(size);
  }
  while (true) {
    if (queue_read_ < body_queue_.size()) {
      const std::size_t size = std::min(most, body_queue_.size() - queue_read_);
      std::memcpy(to, body_queue_.data() + queue_read_, size);
      queue_read_ += size;
      if (queue_read_ == body_queue_.size()) {
        body_queue_.clear();
        queue_read_ = 0;
      }
      return static_cast<ssize_t>(size);
    }
    if (detached_ || finished_) return 0;
    if (frame_left_ > 0) {
      const std::size_t got = wire_->take(to, std::min<std::size_t>(most, frame_left_), wait);
      if (got == 0 && !wire_->ended()) return kInterrupted;
      if (got == 0) break;
      frame_left_ -= static_cast<std::uint32_t>(got);
      if (frame_left_ == 0 && frame_last_) body_over_ = true;
      return static_cast<ssize_t>(got);
    }
    if (body_over_) return 0;
    if (body_broken_ || aborted_ || wire_->ended()) break;
    if (wanted_ == 0) {
      wanted_ = kWant;
      std::uint32_t want = kWant;
      put_frame(protocol::Frame::want, 0, {reinterpret_cast<const char*>(&want), sizeof want});
      if (!send_gathered()) break;
    }
    if (!step(wait)) {
      if (!wire_->ended()) return kInterrupted;
      break;
    }
  }
  if (wire_->ended()) aborted_ = body_broken_ = true;
  return -1;
}

// ---- the response ----

bool Request::open() const { return !aborted_ && !finished_; }

bool Request::send(std::span<iovec> parts) {
  while (true) {
    while (!parts.empty() && parts.front().iov_len == 0) parts = parts.subspan(1);
    if (parts.empty()) return true;
    std::size_t sent = wire_->send_some(parts);
    if (wire_->ended()) {
      aborted_ = body_broken_ = true;
      return false;
    }
    if (sent == 0) {
      if (wire_->wait_sendable()) look();
      continue;
    }
    for (iovec& one : parts) {
      const std::size_t size = std::min(sent, one.iov_len);
      one.iov_base = static_cast<char*>(one.iov_base) + size;
      one.iov_len -= size;
      sent -= size;
    }
  }
}

void Request::close_frame() {
  if (growing_ == std::string::npos) return;
  const auto size = static_cast<std::uint32_t>(gathered_.size() - growing_ - sizeof(protocol::FrameHeader));
  std::memcpy(gathered_.data() + growing_ + offsetof(protocol::FrameHeader, size), &size, sizeof size);
  growing_ = std::string::npos;
}

// Sends what was gathered and, in the same call, `more` as output of its own.
bool Request::send_gathered(std::string_view more) {
  close_frame();
  if (!more.empty()) append_header(gathered_, more.size(), protocol::Frame::output, 0, stream_);
  iovec parts[] = {part(gathered_), part(more)};
  flushed_ = true;
  const bool sent = send(parts);
  gathered_.clear();
  return sent;
}

void Request::put_frame(protocol::Frame kind, std::uint8_t flags, std::string_view bytes) {
  close_frame();
  append_header(gathered_, bytes.size(), kind, flags, stream_);
  gathered_.append(bytes);
}

void Request::put_output(std::string_view bytes) {
  if (gathered_.size() + bytes.size() + sizeof(protocol::FrameHeader) > kGathered) {
    if (send_gathered(bytes)) look();
    return;
  }
  if (growing_ == std::string::npos) {
    growing_ = gathered_.size();
    append_header(gathered_, 0, protocol::Frame::output, 0, stream_);
  }
  gathered_.append(bytes);
}

bool Request::head(std::string_view lines) {
  if (detached_ || !open()) return detached_;
  put_frame(protocol::Frame::head, 0, lines.substr(0, protocol::kMostFrame));
  return true;
}

bool Request::interim(std::string_view lines) {
  if (detached_ || !open()) return detached_;
  put_frame(protocol::Frame::interim, 0, lines.substr(0, protocol::kMostFrame));
  return flush();
}

bool Request::write(std::string_view bytes) {
  while (!bytes.empty() && !detached_ && open()) {
    std::size_t size = std::min(bytes.size(), protocol::kMostOutput);
    if (windowed_) {
      if (window_ == 0) {
        if (send_gathered() && !step(Wait::yes)) look();
        continue;
      }
      size = std::min<std::uint64_t>(size, window_);
      window_ -= size;
    }
    put_output(bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
  return detached_ || open();
}

bool Request::flush() {
  if (detached_ || finished_) return detached_;
  if (!gathered_.empty()) send_gathered();
  look();
  return !aborted_;
}

void Request::log(int severity, std::string_view text) {
  if (detached_ || wire_ == nullptr || wire_->ended()) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(std::min<std::size_t>(text.size(), 65536)), text.data());
    return;
  }
  // Frames of their own, before what was gathered: a line is out even when the interpreter ends the process next.
  std::string frames;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    line = line.substr(0, protocol::kMostOutput);
    append_header(frames, line.size(), protocol::Frame::log, static_cast<std::uint8_t>(severity), stream_);
    frames.append(line);
  }
  iovec parts[] = {part(frames)};
  send(parts);
}

void Request::finish() {
  if (finished_) return;
  if (!detached_ && !wire_->ended()) {
    put_frame(protocol::Frame::end, 0, {});
    send_gathered();
  }
  finished_ = true;
}

void Request::complete(const Outcome& outcome) {
  if (detached_ || wire_->ended()) return;
  const std::uint8_t turn = outcome.leave ? protocol::kLeaving : protocol::kIdle;
  const std::string_view text = std::string_view(outcome.text).substr(0, protocol::kMostText);
  if (finished_) {
    put_frame(protocol::Frame::idle, outcome.leave ? protocol::kLeaving : std::uint8_t{0}, {});
  } else {
    put_frame(protocol::Frame::end, turn | outcome.faults, text);
  }
  send_gathered();
  // What is left of a frame that is being read belongs to the past now.
  wire_->skip(frame_left_);
  frame_left_ = 0;
}

void Request::detach() {
  detached_ = true;
  gathered_.clear();
  growing_ = std::string::npos;
}

}  // namespace fivefold::worker
