#pragma once
// Several ranges of one file in one body: multipart/byteranges (RFC 9110 section 14.6).
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "exchange/file_source.h"
#include "http/conditional.h"
#include "models/files/resource.h"

namespace fivefold::models::files {

class MultipartRanges final : public exchange::BodySource {
 public:
  // `variant` lies in `resource`. `type` is the Content-Type of each part.
  MultipartRanges(std::shared_ptr<const Resource> resource, const Variant& variant,
                  const std::vector<http::ByteRange>& ranges, std::string_view type, net::Loop& loop,
                  net::BlockingPool& pool);
  net::Task<Result<exchange::Chunk>> next() override;
  std::optional<std::uint64_t> length() const override { return left_; }
  // The whole response's Content-Type, with the boundary: random, so that no content can hold it by intent.
  std::string content_type() const { return "multipart/byteranges; boundary=" + boundary_; }

 private:
  struct Part {
    std::string head;
    http::ByteRange range;
  };
  std::shared_ptr<const Resource> resource_;
  const Variant& variant_;
  net::Loop& loop_;
  net::BlockingPool& pool_;
  std::string boundary_;
  std::string end_;
  std::vector<Part> parts_;
  std::size_t part_ = 0;
  enum class Turn : std::uint8_t { head, content, end, done } turn_ = Turn::head;
  std::unique_ptr<exchange::FileSource> source_;  // of the part being sent from the disk
  std::unique_ptr<exchange::FileSource> spent_;   // the one before: its last bytes may still be looked at
  std::uint64_t left_ = 0;
};

}  // namespace fivefold::models::files
