#pragma once
// What applications write to FastCGI's error stream, as lines of their program's log; from any loop.
#include <mutex>

#include "base/line_file.h"
#include "process/output_lines.h"

namespace fivefold::models::app {

class ErrorLines {
 public:
  ErrorLines(LineFile& log, std::string_view program) : lines_(log, program, "stderr") {}
  void take(std::string_view bytes, int pid) {
    const std::lock_guard lock(mutex_);
    lines_.set_pid(pid);
    lines_.take(bytes, net::Clock::now());
    lines_.finish();
  }

 private:
  std::mutex mutex_;
  process::OutputLines lines_;
};

}  // namespace fivefold::models::app
