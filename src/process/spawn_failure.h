#pragma once
// Why a start failed, for people.
#include "base/error.h"
#include "process/spawn_protocol.h"

namespace fivefold::process {

inline constexpr const char* kRetryAfterSeconds =
    "1";  // when the machine had no room for a process, or the helper is being restarted

// Code::program_unavailable when trying again may help, else Code::program_failed. Looks at the executable's first line
// when the system's answer alone would mislead ("No such file" for a file that is there but whose interpreter is not).
Error spawn_failure(SpawnStep step, int error_number, const SpawnPlan& plan);

}  // namespace fivefold::process
