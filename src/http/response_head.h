#pragma once
// The one serializer of response heads.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/headers.h"

namespace fivefold::http {

// How the end of the body will be known (RFC 9112 section 6).
struct Framing {
  enum class Kind : std::uint8_t {
    none,         // 1xx, 204, 304: no length, no body
    length,       // Content-Length
    chunked,      // Transfer-Encoding: chunked
    until_close,  // HTTP/1.0 without a length
  } kind = Kind::length;
  std::uint64_t length = 0;
};

struct ResponseHead {
  int status = 200;
  std::string_view reason =
      {};  // empty: the registered phrase; otherwise only used when it is visible ASCII and spaces
  const Headers* headers = nullptr;
  Framing framing = {};
  const Headers* common =
      nullptr;                 // fields that every response has, made once and used often: Date and Server; as below
  std::string_view date = {};  // "Sun, 06 Nov 1994 08:49:37 GMT"; no Date when empty or when `headers` has one
  std::string_view request_id = {};  // the X-Request-Id value; none when empty or when `headers` has one
  std::string_view server = {};      // the Server value; none when empty or when `headers` has one
  enum class Connection : std::uint8_t { unsaid, close, keep_alive, upgrade } connection = Connection::unsaid;
};

// Appends the head to `out`, with its empty line. Content-Length, Transfer-Encoding, Connection, Keep-Alive, TE,
// Trailer and Upgrade (but for Connection::upgrade) in `headers` are left out: framing is this function's alone.
void append_response_head(const ResponseHead& head, std::string& out);

}  // namespace fivefold::http
