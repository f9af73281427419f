#pragma once
// The main function of every worker executable.
#include "channel/interpreter.h"

namespace fivefold::worker {

inline constexpr int kExitSettings = 64;  // a word of the command line is wrong
inline constexpr int kExitStart = protocol::kExitStart;
inline constexpr int kExitProtocol = 76;  // the server and this executable do not understand each other

// Starts the interpreter, says so on the control socket (descriptor 3), then forks workers, reaps them and passes
// signals on, until the control socket ends. Returns the exit status.
int run_zygote(Interpreter& interpreter, int argc, char** argv);

}  // namespace fivefold::worker
