#pragma once
// One live worker: its process on the home loop, its channels on all others.
#include <memory>
#include <span>
#include <vector>

#include "models/module/zygote.h"
#include "net/loop.h"
#include "process/instance.h"
#include "upstream/worker_channel.h"
#include "upstream/worker_streams.h"

namespace fivefold::models::module {

// The channels to one worker, one for each event loop. A loop uses its own and no other.
class WorkerAddress final : public process::InstanceAddress, public std::enable_shared_from_this<WorkerAddress> {
 public:
  // `loops` by their index; they outlive this. `channels` are in their order. `claims` may be null.
  WorkerAddress(std::vector<UniqueFd> channels, std::unique_ptr<upstream::WorkerClaims> claims,
                std::span<net::Loop* const> loops, std::size_t head_limit);
  ~WorkerAddress() override;
  upstream::WorkerChannel& on(net::Loop& loop);
  // The same of a worker that takes several requests at once. A worker is asked in one of the two ways alone.
  const std::shared_ptr<upstream::WorkerStreams>& streams_on(net::Loop& loop);
  // Any thread: the worker sees the end of all its channels, and leaves when its request is over.
  void end_channels();

 private:
  std::vector<net::Loop*> loops_;
  std::size_t head_limit_;
  std::vector<UniqueFd> fds_;  // of loops that have not used theirs yet
  std::shared_ptr<upstream::WorkerClaims> claims_;
  std::vector<std::shared_ptr<upstream::WorkerChannel>> of_loop_;
  std::vector<std::shared_ptr<upstream::WorkerStreams>> streams_;
};

class WorkerProcess final : public process::InstanceProcess {
 public:
  WorkerProcess(std::unique_ptr<WorkerChild> child, std::weak_ptr<WorkerAddress> address);
  process::Child* child() override { return child_.get(); }
  // A worker that does not answer is found by the request on it.
  net::Task<Result<void>> probe() override { co_return Result<void>(); }
  // Workers do not outlive their server: the next one has its own in a few milliseconds.
  void disown() override {}
  void tell_end(process::Journey& journey) const override;
  std::string where_it_hangs() const override { return {}; }

 private:
  std::unique_ptr<WorkerChild> child_;
};

}  // namespace fivefold::models::module
