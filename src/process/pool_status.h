#pragma once
// What `status` and metrics tell of a program with a pool: the pool's picture and its requests' fates.
#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "exchange/program_status.h"
#include "process/pool.h"

namespace fivefold::process {

// Counters are written by every loop at each request; any thread may ask for the picture.
class PoolStatus final : public exchange::StatusSource {
 public:
  // `model` as the configuration calls it; `noun` is what it calls an instance.
  PoolStatus(std::string program, std::string model, std::string noun, std::shared_ptr<Pool> pool)
      : program_(std::move(program)), model_(std::move(model)), noun_(std::move(noun)), pool_(std::move(pool)) {}

  void count_request() { requests_.fetch_add(1, std::memory_order_relaxed); }
  void count_failure(std::string what);
  exchange::ProgramStatus status() const override;

 private:
  std::string program_;
  std::string model_;
  std::string noun_;
  std::shared_ptr<Pool> pool_;
  std::atomic<std::uint64_t> requests_{0};
  mutable std::mutex mutex_;
  std::uint64_t failures_ = 0;
  std::string last_failure_;
  std::int64_t last_failure_at_ = 0;
};

}  // namespace fivefold::process
