#include "models/cgi/request_input.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace fivefold::models::cgi {
namespace {

// At the end of the file, without moving the offset: the script begins to read at 0.
Result<void> write_at(int fd, std::string_view bytes, std::uint64_t offset) {
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

Result<UniqueFd> memory_file(std::string_view bytes) {
  UniqueFd file(::memfd_create("request body", MFD_CLOEXEC));
  if (!file) return fail_errno(errno, "making a memory file for a request body", Code::out_of_resources);
  if (auto written = write_at(file.get(), bytes, 0); !written) return std::unexpected(std::move(written.error()));
  return file;
}

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

struct Spool {
  std::string memory;
  std::shared_ptr<UniqueFd> file;
  std::uint64_t length = 0;
};

// On a pool thread, because a disk may keep it waiting.
Result<void> append_to_file(Spool& spool, const std::string& folder, const std::string& bytes) {
  if (!spool.file) {
    auto file = nameless_file(folder);
    if (!file) return std::unexpected(std::move(file.error()));
    spool.file = std::make_shared<UniqueFd>(std::move(*file));
  }
  auto written = write_at(spool.file->get(), bytes, spool.length);
  if (written) spool.length += bytes.size();
  return written;
}

net::Task<Result<void>> flush(std::shared_ptr<Spool> spool, exchange::World& world, std::string folder) {
  auto bytes = std::make_shared<std::string>(std::exchange(spool->memory, {}));
  auto write = [spool, bytes, folder = std::move(folder)] { return append_to_file(*spool, folder, *bytes); };
  auto written = co_await net::offload(world.blocking, world.loop, std::move(write));
  co_return written;
}

net::Task<Result<RequestInput>> spool_body(exchange::Body body, exchange::World& world, std::size_t memory,
                                           std::string folder) {
  auto spool = std::make_shared<Spool>();
  while (true) {
    auto chunk = co_await body.next();
    if (!chunk) co_return std::unexpected(std::move(chunk.error()));
    if (chunk->empty()) break;
    spool->memory.append(*chunk);
    if (spool->memory.size() <= memory) continue;
    auto flushed = co_await flush(spool, world, folder);
    if (!flushed) co_return std::unexpected(std::move(flushed.error()));
  }
  RequestInput input;
  if (!spool->file) {
    input.length = spool->memory.size();
    if (spool->memory.empty()) co_return input;
    auto file = memory_file(spool->memory);
    if (!file) co_return std::unexpected(std::move(file.error()));
    input.file = std::move(*file);
    co_return input;
  }
  if (!spool->memory.empty()) {
    auto flushed = co_await flush(spool, world, folder);
    if (!flushed) co_return std::unexpected(std::move(flushed.error()));
  }
  input.length = spool->length;
  input.file = std::move(*spool->file);
  co_return input;
}

}  // namespace

net::Task<Result<RequestInput>> receive_input(exchange::Body body, const http::Head& head, exchange::World& world,
                                              std::size_t memory, const std::string& folder) {
  RequestInput input;
  if (!head.chunked) input.length = head.content_length;
  if (!head.has_body()) co_return input;
  if (head.chunked) {
    auto spooled = co_await spool_body(std::move(body), world, memory, folder);
    co_return spooled;
  }
  if (*head.content_length > kWholeBody) {
    input.streamed = std::move(body);
    co_return input;
  }
  auto whole = co_await exchange::read_all(body, kWholeBody);
  if (!whole) co_return std::unexpected(std::move(whole.error()));
  if (whole->size() != *head.content_length)
    co_return fail(Code::bad_request, "the request's body is shorter than its Content-Length");
  auto file = memory_file(*whole);
  if (!file) co_return std::unexpected(std::move(file.error()));
  input.file = std::move(*file);
  co_return input;
}

}  // namespace fivefold::models::cgi
