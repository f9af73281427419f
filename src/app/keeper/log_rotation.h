#pragma once
// Log files that have grown to [server] log_max_size make room for new ones. The keeper does it: the server may not
// write to their folder.
#include <chrono>
#include <functional>
#include <set>
#include <string>

#include "app/keeper/log_files.h"
#include "config/config.h"

namespace fivefold::app {

class LogRotation {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kLook{1};                 // between two looks at the files' sizes
  static constexpr std::chrono::seconds kAfterFailure{60};        // before what could not be done is tried again
  static constexpr std::uint64_t kProgramLogSize = 100ull << 20;  // where log_max_size is left out

  // When to look next; never, when no log of `config` has a limit.
  Clock::time_point due(const config::Config& config) const;

  // NAME becomes NAME.1, NAME.1 becomes NAME.2 and so on, for each of `files` that has reached its limit and is still
  // what its name in `config` says; in its place there is a new, empty file of the same owner and mode at once. Whether
  // there was any: then all are to be opened again. What cannot be done goes to `warn` in words, once, and the file
  // grows on.
  bool look(const config::Config& config, const LogFiles& files, Clock::time_point now,
            const std::function<void(const std::string&)>& warn);

 private:
  Clock::time_point next_{};
  std::set<std::string> troubled_;  // paths that have been warned about
};

}  // namespace fivefold::app
