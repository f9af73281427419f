#pragma once
// The head of a response from an application: bytes in, a checked head out; no I/O. Strict (RFC 9112 sections 4 to 6):
// what could frame a message in a second way is refused, so that nothing can be smuggled from behind.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "http/head.h"
#include "http/headers.h"

namespace fivefold::http {

struct ResponseLimits {
  std::size_t head = 32768;  // everything up to the empty line
  std::size_t fields = 256;
};

// Views point into the parsed bytes, which their owner keeps as long as this is looked at.
struct ReceivedHead {
  int minor_version = 1;
  int status = 0;           // 100 to 599 (RFC 9110 section 15)
  std::string_view reason;  // may be empty
  std::vector<Field> fields;

  // How the body ends (RFC 9112 section 6.3), decided with the request's method: nothing follows a HEAD, 1xx, 204, 304.
  enum class Framing : std::uint8_t { none, length, chunked, until_close } framing = Framing::none;
  std::uint64_t length = 0;                // of `length`
  std::optional<std::uint64_t> announced;  // Content-Length as sent, also where no body follows (HEAD, 304)
  bool keep_alive = false;                 // the connection may be used again after the body
  bool upgrade = false;                    // 101 with an Upgrade field
  std::optional<std::string_view> field(std::string_view name) const;
};

// Refused as Code::program_failed, with the line at fault in the message: a malformed status line; a version other than
// 1.0 and 1.1; a bare CR or LF, NUL or other control; an obs-fold; white space before a colon; two Content-Length
// fields or a list, even of equal values; a Content-Length that is no number; Transfer-Encoding beside Content-Length,
// from HTTP/1.0, or any other coding than one `chunked`; more than `limits`.
class ResponseHeadParser {
 public:
  explicit ResponseHeadParser(ResponseLimits limits = {}) : limits_(limits) {}
  // `bytes` is everything received so far. Returns how many of them were the head, and `head` is then complete; 0: not
  // whole yet, call again with more. `request` is the method that was sent.
  Result<std::size_t> parse(std::string_view bytes, Method request, ReceivedHead& head);
  // A head that was found whole resets by itself.
  void reset() { scanned_ = line_start_ = lines_ = 0; }

 private:
  // The end of the head after its empty line; 0 when that has not come yet.
  Result<std::size_t> scan(std::string_view bytes, ReceivedHead& head);

  ResponseLimits limits_;
  std::size_t scanned_ = 0;     // everything before it has been looked at
  std::size_t line_start_ = 0;  // of the line that scanned_ is in
  std::size_t lines_ = 0;       // whole lines before line_start_
};

// Whether a field is of one connection alone and never passed on (RFC 9110 section 7.6.1): Connection, Keep-Alive,
// Proxy-Connection, Transfer-Encoding, TE, Trailer, Upgrade, and what `connection` (the value of the message's
// Connection fields, joined) names. End-to-end fields that a hostile Connection names (Host, Content-Length,
// X-Forwarded-*, Authorization, Cookie ...) are not taken for hop-by-hop: CVE-2022-31813.
bool is_hop_by_hop(std::string_view name, std::string_view connection);

}  // namespace fivefold::http
