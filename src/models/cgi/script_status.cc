#include "models/cgi/script_status.h"

#include <ctime>

namespace fivefold::models::cgi {

ScriptStatus::Listed ScriptStatus::list(pid_t pid, std::string script, std::string_view request_id) {
  Entries one;
  one.push_back({pid, std::move(script), std::string(request_id), net::Clock::now()});
  const auto entry = one.begin();
  const std::lock_guard lock(mutex_);
  running_.splice(running_.end(), one);
  return {shared_from_this(), entry};
}

ScriptStatus::Listed::~Listed() {
  if (!status_) return;
  Entries gone;  // freed outside the lock
  const std::lock_guard lock(status_->mutex_);
  gone.splice(gone.begin(), status_->running_, entry_);
}

void ScriptStatus::count_failure(std::string what) {
  const std::lock_guard lock(mutex_);
  ++failures_;
  last_failure_ = std::move(what);
  last_failure_at_ = static_cast<std::int64_t>(std::time(nullptr));
}

exchange::ProgramStatus ScriptStatus::status() const {
  exchange::ProgramStatus status;
  status.name = program_;
  status.model = "cgi";
  status.requests = requests_.load(std::memory_order_relaxed);
  status.running = admission_->running();
  status.waiting = admission_->waiting();
  const auto now = net::Clock::now();
  const std::lock_guard lock(mutex_);
  status.failures = failures_;
  status.last_failure = last_failure_;
  status.last_failure_at = last_failure_at_;
  status.processes.reserve(running_.size());
  for (const auto& entry : running_)
    status.processes.push_back({.pid = entry.pid,
                                .what = entry.script,
                                .age = std::chrono::duration_cast<std::chrono::milliseconds>(now - entry.since),
                                .request_id = entry.request_id});
  return status;
}

}  // namespace fivefold::models::cgi
