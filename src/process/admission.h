#pragma once
// How many at once, and who waits: the cap on a program's concurrent processes with its bounded, timed queue. Shared by
// all loops.
#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>

#include "base/error.h"
#include "net/loop.h"

namespace fivefold::process {

struct AdmissionLimits {
  std::size_t concurrency = 64;                    // 0: no cap
  std::size_t queue = 1024;                        // waiting; one more is Code::program_unavailable at once
  std::chrono::milliseconds queue_timeout{30000};  // waiting longer is Code::program_unavailable
};

class Admission;

// One place taken; given back when this ends, which admits the one that has waited longest, on its own loop.
class Place {
 public:
  Place() = default;
  Place(Place&& other) noexcept = default;
  Place& operator=(Place&& other) noexcept;
  ~Place();

 private:
  friend class Admission;
  explicit Place(std::shared_ptr<Admission> admission) : admission_(std::move(admission)) {}
  std::shared_ptr<Admission> admission_;
};

class Admission : public std::enable_shared_from_this<Admission> {
 public:
  explicit Admission(AdmissionLimits limits);
  ~Admission();
  // Waits for a place. A waiter that is let go of leaves the queue. Error detail is the Retry-After value in seconds.
  net::Task<Result<Place>> enter(net::Loop& loop);
  std::size_t running() const;
  std::size_t waiting() const;

 private:
  friend class Place;
  struct Waiter;
  void leave();
  AdmissionLimits limits_;
  mutable std::mutex mutex_;
  std::size_t running_ = 0;
  std::list<std::shared_ptr<Waiter>> queue_;
};

}  // namespace fivefold::process
