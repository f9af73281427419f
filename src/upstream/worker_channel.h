#pragma once
// One channel to a worker (gateway/worker_protocol.h), on one event loop.
#include <memory>

#include "gateway/worker_frames.h"
#include "net/stream.h"

namespace fivefold::upstream {

// Belongs to `loop`. It carries one request at a time and is used again and again; broken, it never is.
class WorkerChannel {
 public:
  static constexpr std::size_t kBuffer = 17 * 1024;  // a worker gathers 16 KiB before it sends
  static constexpr std::size_t kLargestBuffer = 256 * 1024;

  WorkerChannel(net::Loop& loop, UniqueFd fd, std::size_t head_limit)
      : stream_(std::make_unique<net::Stream>(loop, std::move(fd), kBuffer, kLargestBuffer)), reader_(head_limit) {}

  // Null once it is broken.
  net::Stream* stream() { return stream_.get(); }
  gateway::WorkerFrameReader& reader() { return reader_; }
  std::uint32_t next_number() {
    if (++number_ == 0) ++number_;
    return number_;
  }
  // Nothing goes over it any more: the worker sees its end.
  void close() { stream_.reset(); }

 private:
  std::unique_ptr<net::Stream> stream_;
  gateway::WorkerFrameReader reader_;
  std::uint32_t number_ = 0;
};

}  // namespace fivefold::upstream
