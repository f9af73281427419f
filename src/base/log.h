#pragma once
// The server's own log: levelled lines on standard error or a file, through spdlog. Passed by reference from main;
// nothing is global.
#include <spdlog/logger.h>

#include <memory>
#include <string>

#include "base/line_file.h"

namespace fivefold {

using Log = spdlog::logger;

// A logger that appends lines "2026-01-02T03:04:05.678Z level message" to `file`, which outlives it. level: debug,
// info, warning, error.
std::shared_ptr<Log> make_log(LineFile& file, const std::string& level);

}  // namespace fivefold
