#include "models/files/multipart_ranges.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <array>
#include <random>

namespace fivefold::models::files {
namespace {

std::string random_boundary() {
  std::array<std::uint64_t, 2> bits{};
  if (::getrandom(bits.data(), sizeof bits, GRND_NONBLOCK) != static_cast<ssize_t>(sizeof bits)) {
    std::random_device device;
    for (auto& word : bits) word = static_cast<std::uint64_t>(device()) << 32 | device();
  }
  return fmt::format("{:016x}{:016x}", bits[0], bits[1]);
}

}  // namespace

MultipartRanges::MultipartRanges(std::shared_ptr<const Resource> resource, const Variant& variant,
                                 const std::vector<http::ByteRange>& ranges, std::string_view type, net::Loop& loop,
                                 net::BlockingPool& pool)
    : resource_(std::move(resource)),
      variant_(variant),
      loop_(loop),
      pool_(pool),
      boundary_(random_boundary()),
      end_("\r\n--" + boundary_ + "--\r\n") {
  for (const auto& range : ranges) {
    parts_.push_back({.head = fmt::format("{}--{}\r\nContent-Type: {}\r\nContent-Range: bytes {}-{}/{}\r\n\r\n",
                                          parts_.empty() ? "" : "\r\n", boundary_, type, range.first,
                                          range.first + range.length - 1, variant.size),
                      .range = range});
    left_ += parts_.back().head.size() + range.length;
  }
  left_ += end_.size();
}

net::Task<Result<exchange::Chunk>> MultipartRanges::next() {
  if (turn_ == Turn::done) co_return exchange::Chunk{};
  if (turn_ == Turn::end) {
    turn_ = Turn::done;
    left_ = 0;
    co_return exchange::Chunk(end_);
  }
  Part& part = parts_[part_];
  if (turn_ == Turn::head) {
    turn_ = Turn::content;
    left_ -= part.head.size();
    co_return exchange::Chunk(part.head);
  }
  exchange::Chunk bytes;
  if (variant_.in_memory) {
    bytes = std::string_view(variant_.content).substr(part.range.first, part.range.length);
  } else {
    if (!source_) {
      exchange::FileSegment segment{
          .keep = resource_, .fd = variant_.fd.get(), .offset = part.range.first, .length = part.range.length};
      source_ = std::make_unique<exchange::FileSource>(std::move(segment), loop_, pool_);
    }
    auto piece = co_await source_->next();
    if (!piece) co_return std::unexpected(std::move(piece.error()));
    bytes = *piece;
  }
  left_ -= bytes.size();
  part.range.first += bytes.size();
  part.range.length -= bytes.size();
  if (part.range.length == 0) {
    spent_ = std::move(source_);  // its buffer holds the bytes until the next call
    turn_ = ++part_ < parts_.size() ? Turn::head : Turn::end;
  }
  co_return bytes;
}

}  // namespace fivefold::models::files
