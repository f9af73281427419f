#include "models/module/worker_process.h"

#include <sys/socket.h>

#include "models/module/start_diagnosis.h"

namespace fivefold::models::module {

WorkerAddress::WorkerAddress(std::vector<UniqueFd> channels, std::unique_ptr<upstream::WorkerClaims> claims,
                             std::span<net::Loop* const> loops, std::size_t head_limit)
    : loops_(loops.begin(), loops.end()),
      head_limit_(head_limit),
      fds_(std::move(channels)),
      claims_(std::move(claims)),
      of_loop_(loops_.size()),
      streams_(loops_.size()) {}

WorkerAddress::~WorkerAddress() {
  for (std::size_t i = 0; i < of_loop_.size(); ++i) {
    if (of_loop_[i])  // the page of claims outlives the channels
      loops_[i]->destroy_here(
          {nullptr, [channel = std::move(of_loop_[i]), claims = claims_](void*) mutable { channel.reset(); }});
    if (streams_[i])  // its reader holds it too
      loops_[i]->destroy_here({nullptr, [streams = std::move(streams_[i])](void*) { streams->close(); }});
  }
}

upstream::WorkerChannel& WorkerAddress::on(net::Loop& loop) {
  const auto index = loop.index();
  auto& one = of_loop_[index];
  if (!one)
    one = std::make_shared<upstream::WorkerChannel>(loop, std::move(fds_[index]), head_limit_,
                                                    claims_ ? claims_->of_channel(index) : upstream::ChannelClaims());
  return *one;
}

const std::shared_ptr<upstream::WorkerStreams>& WorkerAddress::streams_on(net::Loop& loop) {
  const auto index = loop.index();
  auto& one = streams_[index];
  if (!one) one = std::make_shared<upstream::WorkerStreams>(loop, std::move(fds_[index]), head_limit_);
  return one;
}

void WorkerAddress::end_channels() {
  for (std::size_t i = 0; i < loops_.size(); ++i)
    loops_[i]->post([self = shared_from_this(), i] {
      auto& channel = self->of_loop_[i];
      net::Stream* stream = channel ? channel->stream() : nullptr;
      const int fd = stream ? stream->fd() : self->streams_[i] ? self->streams_[i]->fd() : self->fds_[i].get();
      if (fd >= 0) ::shutdown(fd, SHUT_WR);
    });
}

WorkerProcess::WorkerProcess(std::unique_ptr<WorkerChild> child, std::weak_ptr<WorkerAddress> address)
    : child_(std::move(child)) {
  child_->on_orphan_told_to_leave([address = std::move(address)] {
    if (const auto channels = address.lock()) channels->end_channels();
  });
}

void WorkerProcess::tell_end(process::Journey& journey) const {
  const auto& output = child_->output_tail();
  journey.output(output);
  journey.failed(
      "the worker " + process::in_words(*child_->exit_status()) + " at its start",
      likely_mend({.message = "the worker ended at its start", .output = output, .exit = child_->exit_status()}));
}

}  // namespace fivefold::models::module
