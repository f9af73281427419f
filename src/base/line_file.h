#pragma once
// A file that lines are appended to from any thread without any of them waiting for the disk.
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/unique_fd.h"

namespace fivefold {

// Lines go to a buffer; a thread of its own writes them, whole, at least every 200 ms and when stopping. When the disk
// does not keep up (or is full) and kBufferLimit bytes wait, further lines are dropped and counted, and the count is
// written when it goes on.
class LineFile {
 public:
  static constexpr std::size_t kBufferLimit = 8 * 1024 * 1024;
  explicit LineFile(UniqueFd fd);
  ~LineFile();                         // writes what is left
  void append(std::string_view line);  // a line feed is added
  void flush();                        // returns when all lines appended so far were written or given up
  void reopen(UniqueFd fd);            // lines appended before go to the old file
  std::uint64_t dropped() const { return dropped_; }
  // The errno that keeps lines from being written now (a full disk); 0 while all is well.
  int failing() const { return failing_; }

 private:
  void write_lines();
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable written_;
  UniqueFd fd_;  // the writing thread's
  UniqueFd next_fd_;
  std::string pending_;
  bool stopping_ = false;
  bool urgent_ = false;
  std::uint64_t generation_ = 0;  // of what was taken for writing
  std::uint64_t done_ = 0;
  std::atomic<std::uint64_t> dropped_{0};
  std::atomic<int> failing_{0};
  std::uint64_t reported_ = 0;
  std::thread writer_;
};

}  // namespace fivefold
