#pragma once
// The words after `fivefold`: which command, with which options, and what --help says of them.
#include <string>
#include <string_view>

namespace fivefold::app {

// Exit statuses: 0 done, 1 it could not be done (said on standard error), 2 the command line is not understood.
int run_command_line(int argc, char** argv);

// The command nearest to a misspelt one; empty when none is near.
std::string nearest_command(std::string_view word);

}  // namespace fivefold::app
