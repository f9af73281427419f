#include "exchange/file_source.h"

#include <sys/uio.h>

#include <cerrno>

namespace fivefold::exchange {
namespace {

// A count of bytes, or the negative of an errno.
ssize_t read_piece(int fd, std::string& piece, std::uint64_t offset, int flags) {
  const iovec part{.iov_base = piece.data(), .iov_len = piece.size()};
  ssize_t count = 0;
  do count = ::preadv2(fd, &part, 1, static_cast<off_t>(offset), flags);
  while (count < 0 && errno == EINTR);
  return count < 0 ? -errno : count;
}

}  // namespace

net::Task<Result<Chunk>> FileSource::next() {
  if (segment_.length == 0) co_return Chunk{};
  piece_->resize(std::min<std::uint64_t>(segment_.length, kPiece));
  ssize_t count = read_piece(segment_.fd, *piece_, segment_.offset, RWF_NOWAIT);
  if (count == -EAGAIN || count == -EOPNOTSUPP) {
    auto reading = [segment = segment_, piece = piece_] { return read_piece(segment.fd, *piece, segment.offset, 0); };
    count = co_await net::offload(pool_, loop_, std::move(reading));
  }
  if (count < 0) co_return fail_errno(static_cast<int>(-count), "reading a file that is being sent");
  if (count == 0) co_return fail(Code::internal, "a file became shorter while it was being sent");
  segment_.offset += static_cast<std::uint64_t>(count);
  segment_.length -= static_cast<std::uint64_t>(count);
  co_return Chunk(piece_->data(), static_cast<std::size_t>(count));
}

}  // namespace fivefold::exchange
