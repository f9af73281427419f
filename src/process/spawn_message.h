#pragma once
// A plan as the message that asks a spawning helper for it.
#include <sys/uio.h>

#include <cstdint>
#include <span>

#include "base/error.h"
#include "base/unique_fd.h"
#include "process/spawn_plan.h"
#include "process/spawn_protocol.h"

namespace fivefold::process {

// What a helper would call malformed, found before it is sent: Code::program_failed for what a program's settings
// cause, Code::internal for what only this server can have done.
Result<void> check_plan(const SpawnPlan& plan);

class SpawnMessage {
 public:
  SpawnMessage() = default;
  SpawnMessage(const SpawnMessage&) = delete;
  SpawnMessage& operator=(const SpawnMessage&) = delete;

  // `plan` has passed check_plan(); it and `releases` (at most kMaxReleases) outlive this. Code::out_of_resources when
  // a large environment cannot be passed.
  Result<void> make(const SpawnPlan& plan, std::uint64_t id, std::span<const ReleaseEntry> releases);

  std::span<const iovec> parts() const { return {parts_, part_count_}; }
  std::span<const int> fds() const { return {fds_, fd_count_}; }

 private:
  void add(int fd) { fds_[fd_count_++] = fd; }
  void add(const void* bytes, std::size_t size) { parts_[part_count_++] = {const_cast<void*>(bytes), size}; }

  SpawnHeader header_;
  iovec parts_[7] = {};
  std::size_t part_count_ = 0;
  int fds_[kMaxDescriptors] = {};
  std::size_t fd_count_ = 0;
  UniqueFd memfd_;
};

}  // namespace fivefold::process
