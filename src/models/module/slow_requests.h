#pragma once
// Requests that take long, told while they run: one log entry each, and the worker prints where its script is.
#include <chrono>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "base/log.h"
#include "net/loop.h"
#include "net/timer.h"
#include "process/pool.h"

namespace fivefold::models::module {

// On the home loop.
class SlowRequests {
 public:
  static constexpr std::chrono::milliseconds kShortestLook{10};
  static constexpr std::chrono::milliseconds kLongestLook{500};

  // `home` and `log` outlive this. Does nothing before set_limit().
  SlowRequests(net::Loop& home, Log& log, std::string program, std::shared_ptr<process::Pool> pool);
  // From this age on a request is slow; 0: none is.
  void set_limit(std::chrono::milliseconds limit);

 private:
  static void look(void* self);
  void look();
  net::Loop& home_;
  Log& log_;
  std::string program_;
  std::shared_ptr<process::Pool> pool_;
  std::chrono::milliseconds limit_{0};
  std::set<std::pair<std::uint32_t, std::string>> told_;  // instance and request, of those that still run
  net::Timer timer_;
};

}  // namespace fivefold::models::module
