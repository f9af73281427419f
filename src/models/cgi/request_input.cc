#include "models/cgi/request_input.h"

#include <sys/mman.h>

#include <cerrno>

#include "exchange/spooled_body.h"

namespace fivefold::models::cgi {
namespace {

Result<UniqueFd> memory_file(std::string_view bytes) {
  UniqueFd file(::memfd_create("request body", MFD_CLOEXEC));
  if (!file) return fail_errno(errno, "making a memory file for a request body", Code::out_of_resources);
  if (auto written = exchange::write_spooled(file.get(), bytes, 0); !written)
    return std::unexpected(std::move(written.error()));
  return file;
}

net::Task<Result<RequestInput>> spool_body(exchange::Body body, exchange::World& world, std::size_t memory,
                                           std::string folder) {
  auto spooled = co_await exchange::spool_parts(std::move(body), {.memory = memory}, std::move(folder), world.blocking,
                                                world.loop);
  if (!spooled) co_return std::unexpected(std::move(spooled.error()));
  RequestInput input;
  input.length = spooled->length;
  if (spooled->file) {
    input.file = std::move(*spooled->file);
  } else if (!spooled->memory.empty()) {
    auto file = memory_file(spooled->memory);
    if (!file) co_return std::unexpected(std::move(file.error()));
    input.file = std::move(*file);
  }
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
