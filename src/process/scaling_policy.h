#pragma once
// How many instances there should be: a pure decision over a picture of the pool.
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "net/timer.h"

namespace fivefold::process {

struct ScalingLimits {
  std::uint32_t min_instances = 1;
  std::uint32_t max_instances = 1;
  std::chrono::milliseconds idle_timeout{60'000};
  std::uint32_t concurrency = 0;  // 0: no cap; `elastic_concurrency` is then what one instance is thought to bear
  std::uint32_t elastic_concurrency = 16;
  std::uint32_t starts_at_once = 4;  // starting instances are expensive: no more than this at a time
};

struct ScalingPicture {
  net::TimePoint now;
  std::uint32_t ready = 0;  // without those being replaced
  std::uint32_t starting = 0;
  std::size_t active = 0;                    // requests on the ready ones
  std::size_t waiting = 0;                   // in the queue
  std::optional<net::TimePoint> not_before;  // after failed starts: the next one not before
  std::vector<net::TimePoint> idle_since;    // of each ready instance without a request, the order is the caller's
};

struct ScalingDecision {
  std::uint32_t start = 0;
  std::vector<std::size_t> stop;             // indices into idle_since, the longest idle first
  std::uint32_t surplus = 0;                 // busy ones above the maximum, which get no more requests
  std::optional<net::TimePoint> look_again;  // when the answer may change by time alone
};

ScalingDecision decide(const ScalingLimits& limits, const ScalingPicture& picture);

}  // namespace fivefold::process
