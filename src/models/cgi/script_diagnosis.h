#pragma once
// What is probably wrong with a script that failed, and what to do about it.
#include <optional>
#include <string>
#include <string_view>

#include "process/child.h"

namespace fivefold::models::cgi {

struct Failure {
  const std::string& script;                               // the file
  std::string_view message;                                // what happened, as it is told
  std::string_view output = {};                            // the end of its standard error
  std::optional<process::ExitStatus> exit = std::nullopt;  // nothing: it never started, or still runs
  bool started = false;
};

// One or two sentences; empty when there is nothing to guess from. Looks at the script's first line: call it only after
// a failure.
std::string likely_mend(const Failure& failure);

}  // namespace fivefold::models::cgi
