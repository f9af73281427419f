#include "upstream/worker_sender.h"

#include <algorithm>
#include <array>
#include <span>

namespace fivefold::upstream {

using gateway::worker::Frame;
using gateway::worker::kMostOutput;
using gateway::worker::kUnknownLength;

namespace {
constexpr std::size_t kWithRequest = 64 * 1024;  // of a body in memory; the rest is sent when asked for
}

WorkerSender::WorkerSender(net::Loop& loop, exchange::Body body, std::optional<std::uint64_t> length)
    : loop_(loop), body_(std::move(body)), length_(length), credit_given_(loop), quiet_(loop) {}

WorkerSender::~WorkerSender() {
  if (self_) *self_ = nullptr;
  leave_channel();
}

void WorkerSender::leave_channel() {
  if (channel_ && channel_->writer() == this) channel_->set_writer(nullptr);
  channel_ = nullptr;
}

void WorkerChannel::cork(std::span<const iovec> parts) {
  if (corked_.empty())
    stream_->loop().post([self = self_] {
      if (*self) (*self)->uncork_at_top();
    });
  for (const iovec& part : parts) corked_.append(static_cast<const char*>(part.iov_base), part.iov_len);
}

std::string WorkerChannel::uncork() {
  if (corked_.empty() || !stream_) return {};
  const iovec all{corked_.data(), corked_.size()};
  const auto written = stream_->write_some({&all, 1});
  std::string rest;
  if (written) rest = corked_.substr(*written);  // a worker that is gone is noticed by who reads
  corked_.clear();
  return rest;
}

void WorkerChannel::uncork_at_top() {
  auto rest = uncork();
  if (rest.empty()) return;
  if (writer_) return writer_->owe(std::move(rest));
  close();  // nobody is left to send the rest of a frame
}

bool WorkerChannel::takes_more() const {
  return stream_ && claims_.has_room_for(following(number_)) && (!writer_ || writer_->done());
}

Result<void> WorkerSender::start(WorkerChannel& channel, std::uint32_t number, std::uint32_t time_limit_ms, bool head,
                                 process::StringBlock variables) {
  channel_ = &channel;
  channel.set_writer(this);
  stream_ = channel.stream();
  number_ = number;
  variables_ = std::move(variables);
  const auto* bytes = body_.as_bytes();
  const std::size_t first =
      bytes ? std::min({bytes->view.size(), gateway::room_for_body(variables_), kWithRequest}) : 0;
  body_over_ = body_.empty() || (bytes && first == bytes->view.size());
  gateway::append_worker_request({.stream = number_,
                                  .body_length = body_.empty() ? 0 : length_.value_or(kUnknownLength),
                                  .time_limit_ms = time_limit_ms,
                                  .first_body = first,
                                  .body_ends = body_over_,
                                  .head = head},
                                 variables_, head_);
  middle_ = variables_.bytes();
  if (first > 0) chunk_ = bytes->view.substr(0, first);
  sent_ = first;
  const bool corks = channel.can_cork(head_.size() + middle_.size() + chunk_.size());
  if (!corks) head_.insert(0, channel.uncork());
  const std::array<iovec, 3> parts{{{head_.data(), head_.size()},
                                    {const_cast<char*>(middle_.data()), middle_.size()},
                                    {const_cast<char*>(chunk_.data()), chunk_.size()}}};
  if (corks) {
    channel.cork(parts);
    head_sent_ = head_.size();
    middle_ = chunk_ = {};
    if (!body_over_) feeder_ = net::Running(feed());
    return {};
  }
  mid_frame_ = true;
  auto written = stream_->write_some(std::span(parts).first(first > 0 ? 3 : 2));
  if (!written) return std::unexpected(std::move(written.error()));
  std::size_t left = *written;
  const auto advance = [&left](std::string_view& part) {
    const auto step = std::min(left, part.size());
    part.remove_prefix(step);
    left -= step;
  };
  std::string_view front = head_;
  advance(front);
  head_sent_ = head_.size() - front.size();
  advance(middle_);
  advance(chunk_);
  if (front.empty() && middle_.empty() && chunk_.empty()) {
    mid_frame_ = false;
    if (body_over_) return {};
  }
  feeder_ = net::Running(feed());
  return {};
}

// What is left of the frame, as far as the kernel takes it. False: the worker is gone.
bool WorkerSender::write_now() {
  if (auto before = channel_ ? channel_->uncork() : std::string(); !before.empty()) {
    head_.replace(0, head_sent_, before);
    head_sent_ = 0;
  }
  while (true) {
    std::string_view front = std::string_view(head_).substr(head_sent_);
    std::string_view* part = !front.empty() ? &front : !middle_.empty() ? &middle_ : &chunk_;
    if (part->empty()) {
      mid_frame_ = false;
      return true;
    }
    const iovec one{const_cast<char*>(part->data()), part->size()};
    const auto written = stream_->write_some({&one, 1});
    if (!written) return false;
    if (*written == 0) return true;
    if (part == &front)
      head_sent_ += *written;
    else
      part->remove_prefix(*written);
  }
}

net::Task<bool> WorkerSender::write_all() {
  while (true) {
    if (!write_now()) co_return false;  // its end is noticed by whoever reads
    if (!mid_frame_) co_return true;
    auto ready = co_await stream_->writable();
    if (!ready) co_return false;
  }
}

net::Task<void> WorkerSender::feed() {
  if (mid_frame_) {
    const bool begun = co_await write_all();
    if (!begun) co_return;
  }
  quiet_.set();
  const auto* bytes = body_.as_bytes();
  while (!body_over_ && !stopped_) {
    if (credit_ == 0) {
      co_await credit_given_.wait();
      continue;
    }
    std::string_view chunk;
    bool last = false;
    if (bytes) {
      chunk = bytes->view.substr(sent_);
    } else {
      touched_ = true;
      auto got = co_await body_.next();
      if (got && length_ && (got->empty() ? sent_ != *length_ : got->size() > *length_ - sent_))
        got = fail(Code::bad_request, "the request's body does not have the length that its Content-Length says");
      if (!got) {
        failure_ = std::move(got.error());
        self_ = std::make_shared<WorkerSender*>(this);
        loop_.post([self = self_] {
          if (*self && (*self)->stream_) (*self)->stream_->interrupt();
        });
        co_return;
      }
      chunk = *got;
      last = chunk.empty() || (length_ && sent_ + chunk.size() == *length_);
    }
    // More than was asked for is kept back: the chunk lives until the next one is asked for.
    do {
      while (credit_ == 0 && !stopped_) co_await credit_given_.wait();
      if (stopped_) co_return;
      chunk_ = chunk.substr(0, std::min<std::uint64_t>({chunk.size(), credit_, kMostOutput}));
      chunk.remove_prefix(chunk_.size());
      credit_ -= chunk_.size();
      sent_ += chunk_.size();
      body_over_ = chunk.empty() && (last || bytes);
      head_.clear();
      head_sent_ = 0;
      gateway::append_worker_body_header(number_, chunk_.size(), body_over_, head_);
      mid_frame_ = true;
      const bool written = co_await write_all();
      if (!written) co_return;
      quiet_.set();
    } while (!chunk.empty());
  }
}

void WorkerSender::wanted(std::uint32_t bytes) {
  credit_ += bytes;
  credit_given_.set();
}

void WorkerSender::stop() {
  stopped_ = true;
  credit_given_.set();
}

void WorkerSender::abandon() {
  // Another request stands behind this one and is not out yet: its frame must not be cut in two. The script is not told
  // then, and runs to its end.
  if (channel_ && channel_->writer() != this && channel_->writer() && !channel_->writer()->done()) {
    stopped_ = true;
    return;
  }
  if (channel_) channel_->set_writer(this);
  // What a frame still owes has to be sent; the body's own memory may go now.
  std::string rest = std::string(std::string_view(head_).substr(head_sent_)).append(middle_).append(chunk_);
  feeder_ = {};
  body_ = {};
  middle_ = chunk_ = {};
  if (!body_over_) gateway::append_worker_signal(Frame::body_broken, number_, rest);
  gateway::append_worker_signal(Frame::abort, number_, rest);
  body_over_ = stopped_ = true;
  head_ = std::move(rest);
  head_sent_ = 0;
  mid_frame_ = true;
  if (stream_) feeder_ = net::Running(feed());
}

void WorkerSender::owe(std::string rest) {
  feeder_ = {};
  head_ = rest.append(std::string_view(head_).substr(head_sent_));
  head_sent_ = 0;
  mid_frame_ = true;
  feeder_ = net::Running(feed());
}

void WorkerSender::close() {
  feeder_ = {};
  leave_channel();
  stream_ = nullptr;
  mid_frame_ = false;
}

}  // namespace fivefold::upstream
