#include "models/module/slow_requests.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>

#include "base/text.h"
#include "gateway/worker_protocol.h"

namespace fivefold::models::module {

using std::chrono::milliseconds;

SlowRequests::SlowRequests(net::Loop& home, Log& log, std::string program, std::shared_ptr<process::Pool> pool)
    : home_(home),
      log_(log),
      program_(std::move(program)),
      pool_(std::move(pool)),
      timer_(home.timers(), &SlowRequests::look, this) {}

void SlowRequests::set_limit(milliseconds limit) {
  limit_ = limit;
  if (limit_ == milliseconds::zero()) {
    timer_.cancel();
    told_.clear();
  } else {
    timer_.set(home_.now() + std::clamp(limit_ / 4, kShortestLook, kLongestLook));
  }
}

void SlowRequests::look(void* self) { static_cast<SlowRequests*>(self)->look(); }

void SlowRequests::look() {
  std::set<std::pair<std::uint32_t, std::string>> running;
  for (const auto& worker : pool_->picture().instances) {
    bool asked = false;
    for (const auto& request : worker.active) {
      if (request.age < limit_) continue;
      const auto [one, first] = running.emplace(worker.id, request.id);
      if (told_.contains(*one) || !first) continue;
      log_.warn("{}: slow request: {} has been running for {:.1f} s in worker {} (pid {}); its id is {}", program_,
                printable(request.what, 400), static_cast<double>(request.age.count()) / 1000, worker.id, worker.pid,
                request.id);
      if (!std::exchange(asked, true)) pool_->signal(worker.id, SIGRTMIN + gateway::worker::kStackSignal);
    }
  }
  told_ = std::move(running);
  timer_.set(home_.now() + std::clamp(limit_ / 4, kShortestLook, kLongestLook));
}

}  // namespace fivefold::models::module
