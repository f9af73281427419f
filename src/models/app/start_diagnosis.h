#pragma once
// What is probably wrong with an application that did not become ready, and what to do about it.
#include <optional>
#include <string>
#include <string_view>

#include "config/config.h"
#include "process/child.h"

namespace fivefold::models::app {

struct FailedStart {
  const config::Program& program;
  const std::string& root;
  std::string_view message;                                // what happened, as it is told
  std::string_view output = {};                            // the end of what it has written
  std::optional<process::ExitStatus> exit = std::nullopt;  // nothing: it never started, or still runs
  bool timed_out = false;
};

// One or two sentences; empty when there is nothing to guess from. Looks at the program's folder.
std::string likely_mend(const FailedStart& failure);

}  // namespace fivefold::models::app
