#pragma once
// The story of one start: named steps with their times, the program's own output, how it ended, the likely mend.
// A page in development and a log entry in production tell it.
#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/timer.h"

namespace fivefold::process {

struct Step {
  std::string name;                 // "found", "spawned", "head", "body", ...
  std::chrono::microseconds at{0};  // since the start of the journey
  std::string note;                 // empty or a few words: "pid 4711"
};

class Journey {
 public:
  explicit Journey(net::TimePoint start) : start_(start) {}
  void step(std::string name, net::TimePoint now, std::string note = {});
  // What was started and how: "command", "folder", "user", "environment" (names only), "ended". One of a name.
  void fact(std::string name, std::string value);
  void output(std::string_view stderr_bytes);  // keeps the last 4 KiB
  void failed(std::string what, std::string mend = {});
  const std::vector<Step>& steps() const { return steps_; }
  const std::vector<std::pair<std::string, std::string>>& facts() const { return facts_; }
  const std::string& output_tail() const { return output_; }
  const std::string& failure() const { return failure_; }
  const std::string& mend() const { return mend_; }
  std::string as_text() const;  // several lines, for logs
  std::string as_html() const;  // escaped, for the error page

 private:
  net::TimePoint start_;
  std::vector<Step> steps_;
  std::vector<std::pair<std::string, std::string>> facts_;
  std::string output_, failure_, mend_;
};

}  // namespace fivefold::process
