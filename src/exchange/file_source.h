#pragma once
// The bytes of an open file as a stream that never makes a loop wait for a disk.
#include <memory>
#include <string>

#include "exchange/body.h"
#include "net/blocking.h"
#include "net/loop.h"

namespace fivefold::exchange {

// Pieces that the kernel has in memory are read at once (RWF_NOWAIT), others on the blocking pool. A file that has
// become shorter than the segment is Code::internal: the response is cut, not ended.
class FileSource final : public BodySource {
 public:
  static constexpr std::size_t kPiece = 65536;
  FileSource(FileSegment segment, net::Loop& loop, net::BlockingPool& pool)
      : segment_(std::move(segment)), loop_(loop), pool_(pool) {}
  net::Task<Result<Chunk>> next() override;
  std::optional<std::uint64_t> length() const override { return segment_.length; }

 private:
  FileSegment segment_;
  net::Loop& loop_;
  net::BlockingPool& pool_;
  std::shared_ptr<std::string> piece_ = std::make_shared<std::string>();  // shared with a read under way
};

}  // namespace fivefold::exchange
