#pragma once
// The head of a request: the parser (bytes in, head out; no I/O, no copies) and what it finds.
//
// RFC 9112 sections 2 to 7. Where the RFC lets a server repair, this one refuses: ambiguity is 400 and close.
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "http/headers.h"

namespace fivefold::http {

enum class Method : std::uint8_t { get, head, post, put, delete_, patch, options, trace, connect, other };

// What the request line's target is (RFC 9112 section 3.2).
enum class TargetForm : std::uint8_t { origin, absolute, authority, asterisk };

struct HeadLimits {
  std::size_t line = 8192;   // the request line; over it is 414
  std::size_t head = 32768;  // everything up to the empty line; over it is 431
  std::size_t fields = 100;  // number of fields; over it is 431
  std::size_t field = 8192;  // one field's line; over it is 431
};

// A parsed request head. All views point into the parsed bytes; the owner of those bytes keeps them until the exchange
// ends.
struct Head {
  Method method = Method::get;
  std::string_view method_text;
  TargetForm form = TargetForm::origin;
  std::string_view target;    // as received
  std::string_view raw_path;  // the path of the target, still percent-encoded; "/" for an empty one; the whole target
                              // (which normalize_path refuses) of the authority and asterisk forms
  std::string_view query;     // after the first '?', undecoded; empty when none
  bool has_query = false;
  std::string_view
      host;  // validated host without port; of the absolute form if there is one (RFC 9112 3.2.2); may be empty on 1.0
  std::optional<std::uint16_t> port;  // the port given with the host
  std::string_view host_field;        // host and port as one, as received: what HTTP_HOST becomes
  int minor_version = 1;              // HTTP/1.x: 0 or 1 (a higher minor is treated as 1)
  std::vector<Field> fields;

  // Framing (RFC 9112 section 6.3), already decided.
  std::optional<std::uint64_t> content_length;  // as sent; none for chunked
  bool chunked = false;
  bool keep_alive = true;        // what the client allows: version and Connection
  bool expect_continue = false;  // false on HTTP/1.0
  bool upgrade = false;          // Connection names "upgrade" and there is an Upgrade field

  bool has_body() const { return chunked || content_length.value_or(0) > 0; }
  // The value of the first field of that name; nothing when there is none.
  std::optional<std::string_view> field(std::string_view name) const;
};

// Looks for one whole head at the front of `bytes`.
// `consumed` 0 means: not whole yet, call again with more bytes (the same ones first). An error means: answer it and
// close. One empty line before the request line is skipped and counted in `consumed` (RFC 9112 section 2.2).
struct ParsedHead {
  std::size_t consumed = 0;
};

class HeadParser {
 public:
  explicit HeadParser(HeadLimits limits) : limits_(limits) {}

  // Fills `head` (its vectors are reused). Remembers how far it has searched, so that a head arriving byte by byte
  // costs linear time; reset() starts the next head.
  Result<ParsedHead> parse(std::string_view bytes, Head& head);
  // A head that was found whole resets by itself.
  void reset() { scanned_ = line_start_ = lines_ = 0; }

 private:
  // The end of the head after its empty line; 0 when that has not come yet.
  Result<std::size_t> scan(std::string_view bytes, Head& head);
  std::size_t line_limit() const { return lines_ == 0 ? limits_.line : limits_.field; }

  HeadLimits limits_;
  std::size_t scanned_ = 0;     // everything before it has been looked at
  std::size_t line_start_ = 0;  // of the line that scanned_ is in
  std::size_t lines_ = 0;       // whole lines before line_start_
};

}  // namespace fivefold::http
