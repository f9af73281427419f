#include "exchange/body.h"

#include <unistd.h>

#include <cerrno>

namespace fivefold::exchange {
namespace {

constexpr std::size_t kFilePiece = 65536;

}  // namespace

Body Body::text(std::string bytes) {
  if (bytes.empty()) return {};
  auto owned = std::make_shared<const std::string>(std::move(bytes));
  const std::string_view view = *owned;
  return Body(Bytes{std::move(owned), view});
}

std::optional<std::uint64_t> Body::length() const {
  if (const auto* bytes = as_bytes()) return bytes->view.size();
  if (const auto* segment = as_file()) return segment->length;
  if (const auto* source = as_stream()) return source->length();
  return 0;
}

net::Task<Result<Chunk>> Body::next() {
  if (auto* source = as_stream()) co_return co_await source->next();
  if (auto* bytes = std::get_if<Bytes>(&content_)) co_return std::exchange(bytes->view, {});
  auto* segment = std::get_if<FileSegment>(&content_);
  if (!segment || segment->length == 0) co_return Chunk{};
  piece_.resize(std::min<std::uint64_t>(segment->length, kFilePiece));
  ssize_t count = 0;
  do count = ::pread(segment->fd, piece_.data(), piece_.size(), static_cast<off_t>(segment->offset));
  while (count < 0 && errno == EINTR);
  if (count < 0) co_return fail_errno(errno, "reading a file that is being sent");
  if (count == 0) co_return fail(Code::internal, "a file became shorter while it was being sent");
  segment->offset += static_cast<std::uint64_t>(count);
  segment->length -= static_cast<std::uint64_t>(count);
  co_return Chunk(piece_.data(), static_cast<std::size_t>(count));
}

net::Task<Result<std::string>> read_all(Body& body, std::size_t limit) {
  std::string whole;
  while (true) {
    auto chunk = co_await body.next();
    if (!chunk) co_return std::unexpected(std::move(chunk.error()));
    if (chunk->empty()) co_return whole;
    if (whole.size() + chunk->size() > limit)
      co_return fail(Code::content_too_large, "the body is larger than " + std::to_string(limit) + " bytes");
    whole.append(*chunk);
  }
}

}  // namespace fivefold::exchange
