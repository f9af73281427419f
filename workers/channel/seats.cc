#include "channel/seats.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <utility>

namespace fivefold::worker {
namespace {

constexpr std::size_t kRead = 64 * 1024;  // bytes at once

Seats* of_this_process = nullptr;

std::int64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

}  // namespace

// ---- a seat ----

Request* Seat::next() {
  while (auto job = seats_.wait_for_job(*this)) {
    wire_.emplace(-1);
    wire_->attach(*this);
    protocol::FrameHeader header;
    if (wire_->take_all(reinterpret_cast<char*>(&header), sizeof header) && request_.begin(*wire_, header, {}))
      return &request_;
    seats_.forget(*this);
    seats_.done(*this);
  }
  return nullptr;
}

void Seat::complete(const Outcome& outcome) {
  if (seats_.channels_.forked()) return;
  seats_.forget(*this);  // first: once the server knows of the end, the number is free
  request_.complete(outcome);
  seats_.done(*this);
}

void Seat::interrupt() {
  const std::scoped_lock lock(seats_.mutex_);
  interrupted_ = true;
  changed_.notify_one();
}

// In a child that a script has forked nothing comes and nothing goes; its copy of a mutex may be locked for ever.
ssize_t Seat::receive(char* to, std::size_t most, Wait wait) {
  if (seats_.channels_.forked()) return -1;
  std::unique_lock lock(seats_.mutex_);
  for (;;) {
    if (const std::size_t size = std::min(most, job_->inbox.size() - job_->read); size > 0) {
      job_->inbox.copy(to, size, job_->read);
      job_->read += size;
      if (job_->read == job_->inbox.size()) {
        job_->inbox.clear();
        job_->read = 0;
      }
      return static_cast<ssize_t>(size);
    }
    if (job_->ended) return -1;
    if (wait == Wait::no) return 0;
    if (wait == Wait::until_signal && std::exchange(interrupted_, false)) return 0;
    changed_.wait(lock);
  }
}

bool Seat::send(std::span<const iovec> frames) {
  if (seats_.channels_.forked()) return true;
  Seats::Channel& channel = *seats_.all_[job_->channel];
  std::array<iovec, 4> parts{};
  const std::size_t count = std::min(parts.size(), frames.size());
  std::copy_n(frames.begin(), count, parts.begin());
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = count;
  const std::scoped_lock lock(channel.writing);
  while (message.msg_iovlen > 0) {
    if (message.msg_iov->iov_len == 0) {
      ++message.msg_iov;
      --message.msg_iovlen;
      continue;
    }
    const ssize_t sent = sendmsg(channel.descriptor, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return false;
    for (auto rest = static_cast<std::size_t>(sent); rest > 0;) {
      const std::size_t size = std::min(rest, message.msg_iov->iov_len);
      message.msg_iov->iov_base = static_cast<char*>(message.msg_iov->iov_base) + size;
      message.msg_iov->iov_len -= size;
      rest -= size;
      if (message.msg_iov->iov_len > 0) break;
      ++message.msg_iov;
      --message.msg_iovlen;
    }
  }
  return true;
}

// ---- all of them ----

Seats::Seats(Channels& channels, unsigned count, Host& host, int wakeup)
    : channels_(channels), host_(host), wakeup_(wakeup) {
  for (const int descriptor : channels.descriptors()) all_.push_back(std::make_unique<Channel>(descriptor));
  for (unsigned number = 0; number < count; ++number) seats_.push_back(std::make_unique<Seat>(*this, number));
  open_ = all_.size();
  static const int registered = pthread_atfork(nullptr, nullptr, &Seats::in_child);
  static_cast<void>(registered);
  of_this_process = this;
}

Seats::~Seats() { of_this_process = nullptr; }

// The requests of a child lead nowhere: what they log goes to standard error.
void Seats::in_child() {
  if (of_this_process == nullptr) return;
  for (const auto& seat : of_this_process->seats_) seat->detach();
}

std::shared_ptr<Seats::Job> Seats::wait_for_job(Seat& seat) {
  std::unique_lock lock(mutex_);
  if (!waiting_.empty()) {
    seat.job_ = std::move(waiting_.front());
    waiting_.pop_front();
  } else {
    free_.push_back(&seat);
    seat.changed_.wait(lock, [&] { return seat.job_ != nullptr || leaving_; });
  }
  if (seat.job_) seat.job_->seat = &seat;
  seat.interrupted_ = false;
  return seat.job_;
}

void Seats::forget(const Seat& seat) {
  const std::scoped_lock lock(mutex_);
  jobs_.erase({seat.job_->channel, seat.job_->stream});
}

void Seats::done(Seat& seat) {
  const std::scoped_lock lock(mutex_);
  seat.job_.reset();
}

void Seats::run() {
  std::vector<pollfd> sockets;
  while (open_ > 0 && !channels_.forked()) {
    sockets.clear();
    for (const auto& channel : all_) sockets.push_back({channel->ended ? -1 : channel->descriptor, POLLIN, 0});
    sockets.push_back({wakeup_, POLLIN, 0});
    const int ready = poll(sockets.data(), sockets.size(), milliseconds_to_wait());
    if ((ready < 0 && errno == EINTR) || (ready > 0 && sockets.back().revents != 0)) host_.on_signal();
    for (std::size_t i = 0; ready > 0 && i < all_.size(); ++i)
      if (sockets[i].revents != 0) read(i);
    check_time_limits();
  }
  const std::scoped_lock lock(mutex_);
  leaving_ = true;
  for (const auto& seat : seats_) seat->changed_.notify_one();
}

void Seats::read(std::size_t number) {
  Channel& channel = *all_[number];
  static std::array<char, kRead> buffer;
  const ssize_t got = recv(channel.descriptor, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return end(number, nullptr);
  std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
  if (!channel.in.empty()) bytes = channel.in.append(bytes);
  while (!channel.ended && bytes.size() >= sizeof(protocol::FrameHeader)) {
    protocol::FrameHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.size > protocol::kMostFrame) return end(number, "a frame of an impossible size");
    if (bytes.size() - sizeof header < header.size) break;
    if (!take_frame(number, header, bytes.substr(0, sizeof header + header.size)))
      return end(number, "a request that is none");
    bytes.remove_prefix(sizeof header + header.size);
  }
  channel.in = std::string(bytes);
}

bool Seats::take_frame(std::size_t channel, const protocol::FrameHeader& header, std::string_view frame) {
  const std::scoped_lock lock(mutex_);
  const std::pair key(channel, header.stream);
  const auto known = jobs_.find(key);
  if (header.kind != protocol::Frame::request) {
    if (known == jobs_.end()) return true;  // sent before the server had seen its end
    known->second->inbox += frame;
    if (known->second->seat != nullptr) known->second->seat->changed_.notify_one();
    return true;
  }
  protocol::RequestHeader head;
  if (known != jobs_.end() || header.size < sizeof head) return false;
  std::memcpy(&head, frame.data() + sizeof header, sizeof head);
  auto job = std::make_shared<Job>();
  job->channel = channel;
  job->stream = header.stream;
  job->inbox = frame;
  if (head.time_limit_ms != 0) job->deadline = now() + head.time_limit_ms;
  jobs_.emplace(key, job);
  if (free_.empty()) {
    waiting_.push_back(std::move(job));
    return true;
  }
  Seat* seat = free_.back();
  free_.pop_back();
  seat->job_ = std::move(job);
  seat->changed_.notify_one();
  return true;
}

void Seats::end(std::size_t number, const char* nonsense) {
  if (nonsense != nullptr) std::fprintf(stderr, "The server sent %s; this worker leaves.\n", nonsense);
  const std::scoped_lock lock(mutex_);
  all_[number]->ended = true;
  --open_;
  for (const auto& [key, job] : jobs_) {
    if (job->channel != number) continue;
    job->ended = true;
    if (job->seat != nullptr) job->seat->changed_.notify_one();
  }
}

int Seats::milliseconds_to_wait() {
  const std::scoped_lock lock(mutex_);
  std::int64_t next = 0;
  for (const auto& [key, job] : jobs_)
    if (job->deadline != 0 && (next == 0 || job->deadline < next)) next = job->deadline;
  return next == 0 ? -1 : static_cast<int>(std::clamp<std::int64_t>(next - now() + 1, 0, 1 << 30));
}

void Seats::check_time_limits() {
  std::vector<Seat*> late;
  {
    const std::scoped_lock lock(mutex_);
    const auto time = now();
    for (const auto& [key, job] : jobs_) {
      if (job->deadline == 0 || job->deadline > time) continue;
      job->deadline = time + kRepeat;
      if (job->seat != nullptr) late.push_back(job->seat);
    }
  }
  for (Seat* seat : late) host_.on_time_limit(*seat);
}

}  // namespace fivefold::worker
