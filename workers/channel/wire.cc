#include "channel/wire.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace fivefold::worker {

Wire::Wire(int descriptor, std::atomic<std::uint32_t>* claims)
    : descriptor_(descriptor), claims_(claims), buffer_(std::make_unique_for_overwrite<char[]>(kBuffer)) {}

Wire::~Wire() { end(); }

Wire::Wire(Wire&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      claims_(other.claims_),
      ended_(std::exchange(other.ended_, true)),
      put_off_(std::move(other.put_off_)),
      buffer_(std::move(other.buffer_)),
      begin_(std::exchange(other.begin_, 0)),
      end_(std::exchange(other.end_, 0)),
      skip_(std::exchange(other.skip_, 0)) {}

void Wire::end() {
  ended_ = true;
  if (descriptor_ >= 0) close(std::exchange(descriptor_, -1));
}

void Wire::skip(std::size_t bytes) {
  const std::size_t here = std::min(bytes, end_ - begin_);
  begin_ += here;
  skip_ += bytes - here;
}

bool Wire::claim(std::uint32_t stream) {
  if (claims_ == nullptr) return true;
  std::uint32_t expected = stream;
  return claims_[stream % protocol::kClaims].compare_exchange_strong(expected, 0, std::memory_order_acq_rel);
}

bool Wire::put_off(const protocol::FrameHeader& header) {
  if (put_off_.size() >= kMostPutOff) return false;
  std::string frame(sizeof header + header.size, '\0');
  std::memcpy(frame.data(), &header, sizeof header);
  if (!take_all(frame.data() + sizeof header, header.size)) return false;
  put_off_.push_back(std::move(frame));
  return true;
}

std::string Wire::take_put_off() {
  std::string frame = std::move(put_off_.front());
  put_off_.pop_front();
  return frame;
}

std::size_t Wire::receive(char* to, std::size_t most, Wait wait) {
  while (skip_ > 0) {
    const std::size_t got = receive_once(to, std::min(most, skip_), wait);
    if (got == 0) return 0;
    skip_ -= got;
  }
  return receive_once(to, most, wait);
}

std::size_t Wire::receive_once(char* to, std::size_t most, Wait wait) {
  if (link_ != nullptr && !ended_) {
    const ssize_t got = link_->receive(to, most, wait);
    ended_ = got < 0;
    return ended_ ? 0 : static_cast<std::size_t>(got);
  }
  while (!ended_) {
    const ssize_t got = recv(descriptor_, to, most, wait == Wait::no ? MSG_DONTWAIT : 0);
    if (got > 0) return static_cast<std::size_t>(got);
    if (got < 0 && errno == EINTR && wait != Wait::until_signal) continue;
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    ended_ = true;
  }
  return 0;
}

bool Wire::fill(Wait wait) {
  if (begin_ == end_) {
    begin_ = end_ = 0;
  } else if (end_ == kBuffer) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= std::exchange(begin_, 0);
  }
  const std::size_t got = receive(buffer_.get() + end_, kBuffer - end_, wait);
  end_ += got;
  return got > 0;
}

std::size_t Wire::take(char* to, std::size_t most, Wait wait) {
  if (begin_ == end_) return receive(to, most, wait);
  const std::size_t size = std::min(most, end_ - begin_);
  std::memcpy(to, buffer_.get() + begin_, size);
  begin_ += size;
  return size;
}

bool Wire::take_all(char* to, std::size_t size) {
  while (size > 0) {
    const std::size_t got = take(to, size, Wait::yes);
    if (got == 0) return false;
    to += got;
    size -= got;
  }
  return true;
}

std::size_t Wire::send_some(std::span<const iovec> parts) {
  if (link_ != nullptr && !ended_) {
    ended_ = !link_->send(parts);
    std::size_t size = 0;
    for (const iovec& part : parts) size += part.iov_len;
    return ended_ ? 0 : size;
  }
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts.data());
  message.msg_iovlen = parts.size();
  while (!ended_) {
    const ssize_t sent = sendmsg(descriptor_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) return static_cast<std::size_t>(sent);
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return 0;
    ended_ = true;
  }
  return 0;
}

bool Wire::wait_sendable() const {
  pollfd one{descriptor_, POLLIN | POLLOUT, 0};
  while (poll(&one, 1, -1) < 0 && errno == EINTR) {
  }
  return (one.revents & (POLLIN | POLLHUP | POLLERR)) != 0;
}

}  // namespace fivefold::worker
