#include "process/scaling_policy.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace fivefold::process {
namespace {

// How many instances the requests call for.
std::size_t needed(const ScalingLimits& limits, const ScalingPicture& picture) {
  if (limits.concurrency != 0) {
    if (picture.waiting == 0) return 0;  // those that are being answered have their instance
    const std::size_t load = picture.active + picture.waiting;
    return (load + limits.concurrency - 1) / limits.concurrency;
  }
  const std::size_t each = std::max<std::uint32_t>(limits.elastic_concurrency, 1);
  return (picture.active + picture.waiting + each - 1) / each;
}

void sooner(std::optional<net::TimePoint>& when, net::TimePoint at) {
  if (!when || at < *when) when = at;
}

}  // namespace

ScalingDecision decide(const ScalingLimits& limits, const ScalingPicture& picture) {
  ScalingDecision decision;
  const std::uint32_t most = limits.max_instances;
  const std::uint32_t least = std::min(limits.min_instances, most);

  const auto wanted = static_cast<std::uint32_t>(std::clamp<std::size_t>(needed(limits, picture), least, most));
  const std::uint32_t alive = picture.ready + picture.starting;
  if (wanted > alive) {
    const std::uint32_t room = limits.starts_at_once > picture.starting ? limits.starts_at_once - picture.starting : 0;
    if (picture.not_before && *picture.not_before > picture.now)
      sooner(decision.look_again, *picture.not_before);
    else
      decision.start = std::min(wanted - alive, room);
  }

  std::vector<std::size_t> idle(picture.idle_since.size());
  std::iota(idle.begin(), idle.end(), std::size_t{0});
  std::ranges::sort(idle, {}, [&](std::size_t index) { return std::pair(picture.idle_since[index], index); });
  std::uint32_t left = picture.ready;
  for (const std::size_t index : idle) {
    if (left <= least) break;
    const net::TimePoint until = picture.idle_since[index] + limits.idle_timeout;
    if (left <= most && until > picture.now) {
      sooner(decision.look_again, until);
      break;
    }
    decision.stop.push_back(index);
    --left;
  }
  decision.surplus = left > most ? left - most : 0;
  return decision;
}

}  // namespace fivefold::process
