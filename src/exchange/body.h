#pragma once
// A message body, pulled: the next chunk is asked for when the last one has left, so nobody needs to pause or resume
// anybody.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/error.h"
#include "base/unique_fd.h"
#include "http/headers.h"
#include "net/task.h"

namespace fivefold::exchange {

// Some bytes of a body, valid until the next call of next() or the end of the body's life. Empty: the end has been
// reached cleanly.
using Chunk = std::string_view;

// Where streamed bytes come from. One owner; letting go of it ends the work behind it (a script, a download).
class BodySource {
 public:
  virtual ~BodySource() = default;
  virtual net::Task<Result<Chunk>> next() = 0;
  // How many bytes are still to come, when that is known.
  virtual std::optional<std::uint64_t> length() const { return std::nullopt; }
  // Once next() has returned the end: the trailer fields that came behind the body (RFC 9110 section 6.5), null when
  // there were none. Valid until the source's end.
  virtual const http::Headers* trailers() const { return nullptr; }
};

// Bytes of an open file that go out by sendfile. `keep` owns the descriptor (and what else must live as long).
struct FileSegment {
  std::shared_ptr<const void> keep;
  int fd = -1;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

// Bytes in memory that `keep` owns.
struct Bytes {
  std::shared_ptr<const void> keep;
  std::string_view view;
};

class Body {
 public:
  Body() = default;  // empty
  Body(Body&&) noexcept = default;
  Body& operator=(Body&&) noexcept = default;
  static Body text(std::string bytes);  // owns a copy
  static Body shared(std::shared_ptr<const void> keep, std::string_view bytes) {
    return Body(Bytes{std::move(keep), bytes});
  }
  static Body file(FileSegment segment) { return Body(std::move(segment)); }
  static Body stream(std::unique_ptr<BodySource> source) { return Body(std::move(source)); }

  bool empty() const { return std::holds_alternative<std::monostate>(content_); }
  // Known in advance, or not (a program that is still writing).
  std::optional<std::uint64_t> length() const;

  // The next bytes, whatever the kind (a file segment is read in pieces here: for filters and tests; the server sends
  // it whole).
  net::Task<Result<Chunk>> next();

  // The ways around next() that the server takes for speed; null when the body is of another kind.
  const Bytes* as_bytes() const { return std::get_if<Bytes>(&content_); }
  const FileSegment* as_file() const { return std::get_if<FileSegment>(&content_); }
  BodySource* as_stream() const {
    const auto* source = std::get_if<std::unique_ptr<BodySource>>(&content_);
    return source ? source->get() : nullptr;
  }

 private:
  using Content = std::variant<std::monostate, Bytes, FileSegment, std::unique_ptr<BodySource>>;
  explicit Body(Content content) : content_(std::move(content)) {}
  Content content_;
  std::string piece_;  // of a file that is read by next()
};

// Reads a body to its end. Code::content_too_large past `limit` bytes.
net::Task<Result<std::string>> read_all(Body& body, std::size_t limit);

}  // namespace fivefold::exchange
