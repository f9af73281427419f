#pragma once
// A body read whole before it is used: its beginning in memory, a large one in a file without a name.
#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/unique_fd.h"
#include "exchange/body.h"
#include "net/blocking.h"
#include "net/loop.h"

namespace fivefold::exchange {

struct SpoolLimits {
  std::size_t memory = 256 * 1024;                                 // more than this goes to a file
  std::uint64_t most = std::numeric_limits<std::uint64_t>::max();  // over it: Code::content_too_large
};

// All of it is in `memory`, or all of it in `file` from its beginning (its offset is there too).
struct Spooled {
  std::string memory;
  std::shared_ptr<UniqueFd> file;
  std::uint64_t length = 0;
};

// Reads `body` to its end. The file is made in `folder` and has no name: it is gone with its descriptor, whatever
// happens to the server. It is written on the pool. Errors are the body's own, Code::content_too_large, and
// Code::out_of_resources where there is no place for the body (a full disk, no such folder).
net::Task<Result<Spooled>> spool_parts(Body body, SpoolLimits limits, std::string folder, net::BlockingPool& pool,
                                       net::Loop& loop);

// The same as a body of known length, which never makes the loop wait for the disk.
net::Task<Result<Body>> spool(Body body, SpoolLimits limits, std::string folder, net::BlockingPool& pool,
                              net::Loop& loop);

// pwrite(2) of all of it. Code::out_of_resources in words.
Result<void> write_spooled(int fd, std::string_view bytes, std::uint64_t offset);

}  // namespace fivefold::exchange
