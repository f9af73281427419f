#pragma once
// The head of a request to an application in HTTP/1.1: the one place that says how its body is framed.
#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "upstream/call.h"

namespace fivefold::upstream {

struct RequestFraming {
  // `records`: FastCGI STDIN records, with their end; of `length`, or kUnknown.
  enum class Kind : std::uint8_t { none, length, chunked, records } kind = Kind::none;
  static constexpr std::uint64_t kUnknown = ~std::uint64_t{0};
  std::uint64_t length = 0;
};

// A field of one connection, of a message's framing, or Expect: never taken over from the client's request.
bool is_connections_own(std::string_view name);

// Code::internal for a method or target that could be read as anything else.
Result<void> check_request_line(const OutgoingHead& head);

// Appends request line, fields, framing and the empty line to `out`. Fields that frame, that are the client's own
// connection's or that ask for 100 Continue (Expect) are left out, whoever put them in. Errors of check_request_line().
Result<void> append_request_head(const OutgoingHead& head, RequestFraming framing, std::string& out);

}  // namespace fivefold::upstream
