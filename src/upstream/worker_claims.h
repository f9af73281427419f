#pragma once
// The page of claims that the server shares with one worker (gateway/worker_protocol.h): who has a request that was
// sent ahead, the worker that begins it or the server that takes it back.
#include <atomic>
#include <cstdint>
#include <memory>

#include "base/error.h"
#include "base/unique_fd.h"
#include "gateway/worker_protocol.h"

namespace fivefold::upstream {

// The words of one channel. A worker may be hostile and write what it likes: it then has requests that it never
// answers, of its own program, which end by their time limit.
class ChannelClaims {
 public:
  ChannelClaims() = default;
  explicit ChannelClaims(std::atomic<std::uint32_t>* words) : words_(words) {}
  explicit operator bool() const { return words_ != nullptr; }
  // Whether the request of this number has a word: none that was sent before it still stands in its place.
  bool has_room_for(std::uint32_t stream) const { return words_ && word(stream).load(std::memory_order_acquire) == 0; }
  // Before the request is sent.
  void offer(std::uint32_t stream) const {
    if (words_) word(stream).store(stream, std::memory_order_release);
  }
  // True: the worker has not begun it and never will. False as well where there is no page.
  bool take_back(std::uint32_t stream) const {
    if (!words_) return false;
    std::uint32_t expected = stream;
    return word(stream).compare_exchange_strong(expected, 0, std::memory_order_acq_rel);
  }

 private:
  std::atomic<std::uint32_t>& word(std::uint32_t stream) const { return words_[stream % gateway::worker::kClaims]; }
  std::atomic<std::uint32_t>* words_ = nullptr;
};

class WorkerClaims {
 public:
  // A page that cannot be shrunk by whoever else holds its descriptor. Code::out_of_resources.
  static Result<std::unique_ptr<WorkerClaims>> make();
  ~WorkerClaims();
  WorkerClaims(const WorkerClaims&) = delete;

  // For the worker; let go of when it has been passed on.
  const UniqueFd& fd() const { return fd_; }
  void close_fd() { fd_.reset(); }
  // `index` < kMostChannels. Valid as long as this lives.
  ChannelClaims of_channel(std::size_t index) const { return ChannelClaims(words_ + index * gateway::worker::kClaims); }

 private:
  WorkerClaims(UniqueFd fd, std::atomic<std::uint32_t>* words) : fd_(std::move(fd)), words_(words) {}
  UniqueFd fd_;
  std::atomic<std::uint32_t>* words_;
};

}  // namespace fivefold::upstream
