#include "process/pool_status.h"

#include <algorithm>
#include <ctime>

namespace fivefold::process {

void PoolStatus::count_failure(std::string what) {
  const std::lock_guard lock(mutex_);
  ++failures_;
  last_failure_ = std::move(what);
  last_failure_at_ = static_cast<std::int64_t>(std::time(nullptr));
}

exchange::ProgramStatus PoolStatus::status() const {
  const auto picture = pool_->picture();
  exchange::ProgramStatus status;
  status.name = program_;
  status.model = model_;
  status.requests = requests_.load(std::memory_order_relaxed);
  status.waiting = picture.waiting;
  status.starts = picture.starts;
  status.failed_starts = picture.failed_starts;
  status.crashes = picture.crashes;
  status.queue_full = picture.queue_full;
  status.queue_timeouts = picture.queue_timeouts;
  {
    const std::lock_guard lock(mutex_);
    status.failures = failures_;
    status.last_failure = last_failure_;
    status.last_failure_at = last_failure_at_;
  }
  if (picture.last_failure_at > status.last_failure_at) {
    status.last_failure = picture.last_failure;
    status.last_failure_at = picture.last_failure_at;
  }
  for (const auto& instance : picture.instances) {
    const bool alive = instance.state != InstanceState::failed;
    if (alive) ++status.running;
    const bool busy = instance.state == InstanceState::ready && !instance.active.empty();
    exchange::RunningProcess process{.pid = instance.pid,
                                     .what = noun_ + " " + std::to_string(instance.id),
                                     .age = instance.age,
                                     .request_id = instance.active.size() == 1 ? instance.active.front().id : "",
                                     .state = busy ? "busy" : std::string(name_of(instance.state)),
                                     .reason = instance.reason,
                                     .requests = instance.requests,
                                     .active = instance.active.size()};
    if (!instance.active.empty()) {
      const auto& oldest = *std::ranges::max_element(instance.active, {}, &Pool::Listed::Request::age);
      process.request_age = oldest.age;
      process.what += ": " + oldest.what;
      if (oldest.age >= std::chrono::seconds(1))
        process.what += " (" + std::to_string(oldest.age.count() / 1000) + " s)";
    }
    status.processes.push_back(std::move(process));
  }
  return status;
}

}  // namespace fivefold::process
