#pragma once
// What is probably wrong with an interpreter that did not start, and what to do about it.
#include <optional>
#include <string>
#include <string_view>

#include "process/child.h"

namespace fivefold::models::module {

struct FailedStart {
  std::string_view message;                                // what happened, as it is told
  std::string_view output = {};                            // the end of what it has written
  std::optional<process::ExitStatus> exit = std::nullopt;  // nothing: it never started, or still runs
};

// One or two sentences; empty when there is nothing to guess from.
std::string likely_mend(const FailedStart& failure);

}  // namespace fivefold::models::module
