#pragma once
// The folder beneath which a program's scripts are opened.
#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "base/error.h"
#include "base/unique_fd.h"
#include "net/timer.h"

namespace fivefold::exchange {

// Any thread.
class RootFolder {
 public:
  // How long the opened folder is kept before its path is looked up again: one that is a symbolic link may be pointed
  // elsewhere.
  static constexpr std::chrono::milliseconds kValid{1000};

  // An absolute path.
  explicit RootFolder(std::string path) : path_(std::move(path)) {
    while (path_.size() > 1 && path_.ends_with('/')) path_.pop_back();
  }
  RootFolder(RootFolder&& other) noexcept : path_(std::move(other.path_)) {}

  // Its descriptor, for open_beneath(). Code::out_of_resources, Code::internal with the path.
  Result<std::shared_ptr<const UniqueFd>> open(net::TimePoint now) const;

 private:
  std::string path_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const UniqueFd> folder_;
  mutable net::TimePoint opened_{};
};

}  // namespace fivefold::exchange
