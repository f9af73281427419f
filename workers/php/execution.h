#pragma once
// One script from its start to its end.
#include "channel/deadline.h"

namespace fivefold::worker::php {

extern Deadline deadline;

// After SG(request_info) has been filled: starts the engine's request, runs the script unless the request's body is
// broken, and ends the engine's request.
void execute(const char* script);

// In the zygote: the function chdir() is watched, see execution.cc.
void watch_folder();

}  // namespace fivefold::worker::php
