#pragma once
// The head of a CGI program's output (RFC 3875 section 6): bytes in, a checked response head out; no I/O.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "http/headers.h"

namespace fivefold::gateway {

struct CgiHead {
  enum class Kind : std::uint8_t {
    document,         // 6.2.1, and 6.2.4: a client redirect that brings its document
    local_redirect,   // 6.2.2: the server answers with another of its own paths
    client_redirect,  // 6.2.3: Location without Status, 302
  };
  Kind kind = Kind::document;
  int status = 200;
  bool status_given = false;  // by a Status field or an HTTP status line
  std::string reason;         // empty unless given and clean; the registered phrase is used then
  // What goes to the client: every field but those below and the hop-by-hop ones. Location is in here but for a local
  // redirect.
  http::Headers headers;
  std::optional<std::uint64_t> content_length;
  std::string local_target;  // raw path with optional query, of a local redirect
  std::string send_file;     // X-Sendfile or X-Accel-Redirect: a file that shall be sent as the body
};

struct CgiHeadLimits {
  std::size_t head = 32768;  // bytes up to the empty line
  std::size_t fields = 256;
  bool redirects = true;    // a Location without another status redirects (sections 6.2.2, 6.2.3); false: it is a field
  bool status_line = true;  // a first line "HTTP/1.x NNN reason" (an NPH program's, section 5) is understood
};

// Line ends may be LF or CRLF, mixed. What is malformed, ambiguous or could frame the message in a second way is
// refused as Code::program_failed with the line at fault in the message. However the bytes are cut into pieces, the
// verdict is the same.
class CgiHeadParser {
 public:
  explicit CgiHeadParser(CgiHeadLimits limits = {}) : limits_(limits) {}

  // `bytes` is everything received so far; each call has the bytes of the one before in front. Returns how many of them
  // were the head, and `head` is then complete; 0: not whole yet.
  Result<std::size_t> parse(std::string_view bytes, CgiHead& head);

  // What is to be said when the output ends before the head does.
  static Error ended_early(std::string_view bytes);

 private:
  Result<void> take_line(std::string_view line, CgiHead& head);
  Result<void> take_status_line(std::string_view line, CgiHead& head);
  Result<void> take_field(std::string_view name, std::string_view value, CgiHead& head);
  Result<void> take_status(std::string_view value, CgiHead& head);
  Result<void> finish(CgiHead& head);

  CgiHeadLimits limits_;
  std::size_t line_start_ = 0;  // of the first line that was not whole
  std::size_t searched_ = 0;    // no line feed between line_start_ and here
  std::size_t fields_ = 0;
  bool first_line_ = true;
  bool interim_ = false;  // the head being read is a 1xx one
  std::optional<std::string> location_;
};

}  // namespace fivefold::gateway
