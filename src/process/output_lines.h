#pragma once
// A program's output, as lines of its log.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/line_file.h"
#include "net/timer.h"

namespace fivefold::process {

// Splits into lines, each logged as "NAME[pid] TAG: text"; the tag is a request's id, an instance's number or both. A
// program that writes without end costs a bounded rate of log: what is over it is dropped and its amount is logged.
// Control bytes are shown as \xNN, so that no line can pass for another.
class OutputLines {
 public:
  static constexpr std::size_t kMaxLine = 8192;              // longer lines are cut into pieces
  static constexpr std::size_t kBurst = 256 * 1024;          // bytes that may come at once
  static constexpr std::size_t kBytesPerSecond = 64 * 1024;  // after that

  // `log` outlives this.
  OutputLines(LineFile& log, std::string_view program, std::string_view tag);
  void set_pid(int pid);
  void set_tag(std::string_view tag);
  void take(std::string_view bytes, net::TimePoint now);
  // A line of ours, after what has been taken.
  void note(std::string_view text);
  // The last line, if it had no line feed, and the count of what was dropped.
  void finish();

 private:
  void line(std::string_view text);
  void report_dropped();
  LineFile& log_;
  std::string program_;
  std::string tag_;
  int pid_ = 0;
  std::string prefix_;
  std::string partial_;
  double budget_ = kBurst;
  net::TimePoint refilled_{};
  std::uint64_t dropped_ = 0;
};

}  // namespace fivefold::process
