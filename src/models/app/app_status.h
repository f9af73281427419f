#pragma once
// What `status` and metrics tell of an application: its pool's picture and its requests' fates.
#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "exchange/program_status.h"
#include "process/pool.h"

namespace fivefold::models::app {

// Counters are written by every loop at each request; any thread may ask for the picture.
class AppStatus final : public exchange::StatusSource {
 public:
  AppStatus(std::string program, std::shared_ptr<process::Pool> pool)
      : program_(std::move(program)), pool_(std::move(pool)) {}

  void count_request() { requests_.fetch_add(1, std::memory_order_relaxed); }
  void count_failure(std::string what);
  exchange::ProgramStatus status() const override;

 private:
  std::string program_;
  std::shared_ptr<process::Pool> pool_;
  std::atomic<std::uint64_t> requests_{0};
  mutable std::mutex mutex_;
  std::uint64_t failures_ = 0;
  std::string last_failure_;
  std::int64_t last_failure_at_ = 0;
};

}  // namespace fivefold::models::app
