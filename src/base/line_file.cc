#include "base/line_file.h"

#include <cerrno>
#include <chrono>

#include <fmt/format.h>

namespace fivefold {
namespace {

constexpr std::chrono::milliseconds kWriteEvery{200};
constexpr std::chrono::milliseconds kRetryAfter{1000};  // when the disk is full
constexpr std::size_t kWriteAt = 64 * 1024;

// Writes as much as the file takes; what remains is left in `bytes`. 0, or the errno that kept it from being all.
int write_out(int fd, std::string& bytes) {
  int error = 0;
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t written = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (written > 0) {
      done += static_cast<std::size_t>(written);
    } else if (errno != EINTR) {
      error = errno;
      break;
    }
  }
  bytes.erase(0, done);
  return error;
}

}  // namespace

LineFile::LineFile(UniqueFd fd) : fd_(std::move(fd)), writer_([this] { write_lines(); }) {}

LineFile::~LineFile() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  writer_.join();
}

void LineFile::append(std::string_view line) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (pending_.size() + line.size() + 1 > kBufferLimit) {
      ++dropped_;
      return;
    }
    const std::size_t before = pending_.size();
    pending_.append(line);
    pending_.push_back('\n');
    wake = before == 0 || (before < kWriteAt && pending_.size() >= kWriteAt);
  }
  if (wake) wake_.notify_one();
}

void LineFile::flush() {
  std::unique_lock lock(mutex_);
  const std::uint64_t target = generation_ + 1;
  urgent_ = true;
  wake_.notify_one();
  written_.wait_for(lock, std::chrono::seconds(2), [&] { return done_ >= target || stopping_; });
}

void LineFile::reopen(UniqueFd fd) {
  flush();
  const std::lock_guard lock(mutex_);
  next_fd_ =
      std::move(fd);  // the writing thread changes over, now: the old file is to be closed even when nothing is said
  urgent_ = true;
  wake_.notify_one();
}

void LineFile::write_lines() {
  std::string taken;
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || urgent_ || !pending_.empty(); });
    if (!stopping_ && !urgent_ && pending_.size() < kWriteAt)
      wake_.wait_for(lock, kWriteEvery, [this] { return stopping_ || urgent_ || pending_.size() >= kWriteAt; });
    urgent_ = false;
    if (next_fd_) fd_ = std::move(next_fd_);
    const std::uint64_t generation = ++generation_;
    taken.swap(pending_);
    const std::uint64_t dropped = dropped_.load();
    if (dropped > reported_ && taken.size() < kWriteAt) {
      taken += fmt::format("({} lines before this one were dropped: the log could not be written fast enough)\n",
                           dropped - reported_);
      reported_ = dropped;
    }
    const int fd = fd_.get();
    const bool last = stopping_;
    lock.unlock();
    failing_ = write_out(fd, taken);
    const bool complete = taken.empty();
    lock.lock();
    done_ = generation;
    written_.notify_all();
    if (complete) {
      if (taken.capacity() > 4 * kWriteAt) taken.shrink_to_fit();
      if (last && pending_.empty()) return;
      continue;
    }
    if (last) return;
    // The disk is full or the file cannot be written: what was taken goes back to the front and is tried again.
    pending_.insert(0, taken);
    taken.clear();
    wake_.wait_for(lock, kRetryAfter, [this] { return stopping_; });
  }
}

}  // namespace fivefold
