#include "channel/channels.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace fivefold::worker {

namespace {

Channels* of_this_process = nullptr;

}  // namespace

Channels::Channels(std::span<const int> descriptors, std::atomic<std::uint32_t>* claims) {
  for (std::size_t i = 0; i < descriptors.size(); ++i)
    wires_.emplace_back(descriptors[i], claims != nullptr ? claims + i * protocol::kClaims : nullptr);
  if (wires_.size() > 1) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    for (Wire& wire : wires_) {
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.ptr = &wire;
      epoll_ctl(epoll_, EPOLL_CTL_ADD, wire.descriptor(), &event);
    }
  }
  static bool registered = false;
  if (!registered) pthread_atfork(nullptr, nullptr, &Channels::in_child);
  registered = true;
  of_this_process = this;
}

Channels::~Channels() {
  of_this_process = nullptr;
  if (epoll_ >= 0) close(epoll_);
}

std::vector<int> Channels::descriptors() const {
  std::vector<int> all;
  for (const Wire& wire : wires_) all.push_back(wire.descriptor());
  return all;
}

void Channels::in_child() {
  Channels* channels = of_this_process;
  if (channels == nullptr) return;
  channels->forked_ = true;
  channels->request_.detach();
  for (Wire& wire : channels->wires_) wire.end();
  if (channels->epoll_ >= 0) close(channels->epoll_);
  channels->epoll_ = -1;
}

// The channel that has something to read; ended ones are dropped. nullptr when there is none left.
Wire* Channels::wait() {
  while (true) {
    wires_.remove_if([this](Wire& wire) {
      if (wire.ended() && &wire == last_) last_ = nullptr;
      return wire.ended();
    });
    if (wires_.empty()) return nullptr;
    if (wires_.size() == 1) return &wires_.front();
    // Closing a descriptor has taken it out of the set, unless a child holds a copy: an event of a channel that is gone
    // is not followed by its pointer.
    if (last_ != nullptr && (last_->has_put_off() || !last_->buffered().empty())) return last_;
    epoll_event event{};
    if (epoll_wait(epoll_, &event, 1, -1) != 1) {
      if (errno == EINTR && leave_after_signal()) return nullptr;
      continue;
    }
    for (Wire& wire : wires_) {
      if (&wire == event.data.ptr) return &wire;
    }
  }
}

bool Channels::next_header(Wire& wire, protocol::FrameHeader& header) {
  while (wire.buffered().size() < sizeof header) {
    if (!wire.fill(Wait::until_signal)) {
      if (wire.ended() || leave_after_signal()) return false;
    }
  }
  std::memcpy(&header, wire.buffered().data(), sizeof header);
  wire.consume(sizeof header);
  return true;
}

bool Channels::leave_after_signal() {
  interrupted_ = leave_ != nullptr && leave_();
  return interrupted_;
}

Request* Channels::next() {
  interrupted_ = false;
  while (!forked_ && !nonsense_ && !interrupted_) {
    Wire* wire = wait();
    if (wire == nullptr) return nullptr;
    last_ = wire;
    protocol::FrameHeader header;
    if (wire->has_put_off()) {
      const std::string frame = wire->take_put_off();
      std::memcpy(&header, frame.data(), sizeof header);
      if (begin(*wire, header, std::string_view(frame).substr(sizeof header))) return &request_;
      continue;
    }
    if (!next_header(*wire, header)) continue;
    if (header.kind == protocol::Frame::request) {
      if (begin(*wire, header, {})) return &request_;
      continue;
    }
    // What was sent before the server had noticed the end of a request.
    const bool late = header.kind >= protocol::Frame::body && header.kind <= protocol::Frame::window;
    if (late && header.size <= protocol::kMostFrame) {
      wire->skip(header.size);
      continue;
    }
    request_.wire_ = wire;
    request_.nonsense("what is no request where one should begin");
    nonsense_ = true;
  }
  return nullptr;
}

// False: it has been taken back, or is none.
bool Channels::begin(Wire& wire, const protocol::FrameHeader& header, std::string_view put_off) {
  if (!wire.claim(header.stream) && header.size <= protocol::kMostFrame) {
    if (put_off.empty()) wire.skip(header.size);
    return false;
  }
  busy_ = request_.begin(wire, header, put_off);
  nonsense_ = request_.nonsense_;
  return busy_;
}

void Channels::complete(const Outcome& outcome) {
  busy_ = false;
  if (forked_) return;
  request_.complete(outcome);
  nonsense_ = request_.nonsense_;
}

}  // namespace fivefold::worker
