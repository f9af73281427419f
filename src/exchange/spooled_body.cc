#include "exchange/spooled_body.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>

#include "exchange/file_source.h"

namespace fivefold::exchange {
namespace {

Result<UniqueFd> nameless_file(const std::string& folder) {
  UniqueFd file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
    std::string name = folder + "/fivefold-body-XXXXXX";
    file.reset(::mkostemp(name.data(), O_CLOEXEC));
    if (file) ::unlink(name.c_str());
  }
  if (!file)
    return fail_errno(errno, "making a temporary file for a request body in " + folder, Code::out_of_resources);
  return file;
}

std::unexpected<Error> too_large(std::uint64_t most) {
  return fail(Code::content_too_large, "the body is larger than " + std::to_string(most) + " bytes");
}

// On a pool thread, because a disk may keep it waiting.
Result<void> append_to_file(Spooled& spooled, const std::string& folder, std::string_view bytes, std::uint64_t at) {
  if (!spooled.file) {
    auto file = nameless_file(folder);
    if (!file) return std::unexpected(std::move(file.error()));
    spooled.file = std::make_shared<UniqueFd>(std::move(*file));
  }
  return write_spooled(spooled.file->get(), bytes, at);
}

// What is in memory goes to the end of the file. Shared with the pool's thread, which may outlive this coroutine.
net::Task<Result<void>> flush(std::shared_ptr<Spooled> spooled, std::string folder, net::BlockingPool& pool,
                              net::Loop& loop) {
  auto bytes = std::make_shared<std::string>(std::exchange(spooled->memory, {}));
  auto write = [spooled, bytes, folder = std::move(folder), at = spooled->length - bytes->size()] {
    return append_to_file(*spooled, folder, *bytes, at);
  };
  auto written = co_await net::offload(pool, loop, std::move(write));
  if (written) {
    bytes->clear();
    spooled->memory = std::move(*bytes);  // its room, for what comes next
  }
  co_return written;
}

}  // namespace

Result<void> write_spooled(int fd, std::string_view bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      return fail_errno(errno, "keeping a request body", Code::out_of_resources);
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return {};
}

net::Task<Result<Spooled>> spool_parts(Body body, SpoolLimits limits, std::string folder, net::BlockingPool& pool,
                                       net::Loop& loop) {
  if (body.length().value_or(0) > limits.most) co_return too_large(limits.most);
  auto spooled = std::make_shared<Spooled>();
  while (true) {
    auto chunk = co_await body.next();
    if (!chunk) co_return std::unexpected(std::move(chunk.error()));
    if (chunk->empty()) break;
    if (chunk->size() > limits.most - spooled->length) co_return too_large(limits.most);
    spooled->memory.append(*chunk);
    spooled->length += chunk->size();
    if (spooled->memory.size() <= limits.memory) continue;
    auto flushed = co_await flush(spooled, folder, pool, loop);
    if (!flushed) co_return std::unexpected(std::move(flushed.error()));
  }
  if (spooled->file && !spooled->memory.empty()) {
    auto flushed = co_await flush(spooled, folder, pool, loop);
    if (!flushed) co_return std::unexpected(std::move(flushed.error()));
  }
  if (spooled->file) spooled->memory = {};
  co_return std::move(*spooled);
}

net::Task<Result<Body>> spool(Body body, SpoolLimits limits, std::string folder, net::BlockingPool& pool,
                              net::Loop& loop) {
  auto spooled = co_await spool_parts(std::move(body), limits, std::move(folder), pool, loop);
  if (!spooled) co_return std::unexpected(std::move(spooled.error()));
  if (!spooled->file) co_return Body::text(std::move(spooled->memory));
  const int fd = spooled->file->get();
  FileSegment segment{.keep = std::move(spooled->file), .fd = fd, .offset = 0, .length = spooled->length};
  co_return Body::stream(std::make_unique<FileSource>(std::move(segment), loop, pool));
}

}  // namespace fivefold::exchange
