#pragma once
// What a script will read on its standard input: the request's body, decoded, of known length.
#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/unique_fd.h"
#include "exchange/exchange.h"

namespace fivefold::models::cgi {

// A body whose Content-Length is at most this is read whole before the process is started: a slow client then holds no
// process, and the script reads it without either side waiting for the other.
inline constexpr std::uint64_t kWholeBody = 64 * 1024;

struct RequestInput {
  std::optional<std::uint64_t> length;  // CONTENT_LENGTH; nothing when there is no body
  UniqueFd file;                        // the whole body, to be read from its beginning; or none
  exchange::Body streamed;              // otherwise: the body, which goes into a pipe while the script runs
  bool is_streamed() const { return !streamed.empty(); }
};

// Errors are the client's (slow, too large, gone) and Code::out_of_resources when there is no place for the body.
// A body of unknown length (chunked) is spooled: up to `memory` bytes in memory, then in a nameless file in `folder`.
net::Task<Result<RequestInput>> receive_input(exchange::Body body, const http::Head& head, exchange::World& world,
                                              std::size_t memory, const std::string& folder);

}  // namespace fivefold::models::cgi
