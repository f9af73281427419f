#pragma once
// One channel to a worker (gateway/worker_protocol.h), on one event loop.
#include <sys/uio.h>

#include <memory>
#include <span>
#include <string>

#include "gateway/worker_frames.h"
#include "net/stream.h"
#include "upstream/worker_claims.h"

namespace fivefold::upstream {

class WorkerSender;

// Belongs to `loop`. Its worker answers one request at a time, in the order in which they were sent; those behind the
// first may be taken back. It is used again and again; broken, it never is.
class WorkerChannel {
 public:
  static constexpr std::size_t kBuffer = 17 * 1024;  // a worker gathers 16 KiB before it sends
  static constexpr std::size_t kLargestBuffer = 256 * 1024;

  WorkerChannel(net::Loop& loop, UniqueFd fd, std::size_t head_limit, ChannelClaims claims = {})
      : claims_(claims),
        stream_(std::make_unique<net::Stream>(loop, std::move(fd), kBuffer, kLargestBuffer)),
        reader_(head_limit) {}

  ~WorkerChannel() { *self_ = nullptr; }
  WorkerChannel(const WorkerChannel&) = delete;
  WorkerChannel& operator=(const WorkerChannel&) = delete;

  // Null once it is broken.
  net::Stream* stream() { return stream_.get(); }
  gateway::WorkerFrameReader& reader() { return reader_; }
  std::uint32_t next_number() { return number_ = following(number_); }
  const ChannelClaims& claims() const { return claims_; }
  // Who has written last, and may be within a frame; null: nobody is.
  WorkerSender* writer() const { return writer_; }
  void set_writer(WorkerSender* writer) { writer_ = writer; }
  // Whether another request can be sent behind the one that its worker is at: everything before it has been sent whole.
  bool takes_more() const;
  // ---- what leaves with everything else of this turn of the loop ----
  // Requests that come together wake their worker once.
  static constexpr std::size_t kCorked = 64 * 1024;
  // Whether so many bytes can be: cork() then has them sent from the loop's top.
  bool can_cork(std::size_t bytes) const { return corked_.size() + bytes <= kCorked; }
  void cork(std::span<const iovec> parts);
  // Sends now what is there, before anything else is written. What the kernel did not take is to be sent first.
  std::string uncork();

  // Nothing goes over it any more: the worker sees its end.
  void close() {
    stream_.reset();
    corked_.clear();
  }

 private:
  static std::uint32_t following(std::uint32_t number) { return number + 1 == 0 ? 1 : number + 1; }

  ChannelClaims claims_;
  WorkerSender* writer_ = nullptr;
  std::unique_ptr<net::Stream> stream_;
  gateway::WorkerFrameReader reader_;
  std::uint32_t number_ = 0;
  void uncork_at_top();
  std::string corked_;
  std::shared_ptr<WorkerChannel*> self_ = std::make_shared<WorkerChannel*>(this);  // for what the loop was told
};

}  // namespace fivefold::upstream
