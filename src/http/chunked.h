#pragma once
// The chunked coding of RFC 9112 section 7.1, both ways, on bytes alone.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "http/headers.h"

namespace fivefold::http {

// Takes the coding away. Strict: hex digits only, CRLF only, extensions bounded and ignored, trailers bounded, checked
// for form and dropped unless they are asked for. Feed it what arrives; it hands out views into what it was fed.
class ChunkedDecoder {
 public:
  struct Limits {
    std::size_t extension = 1024;  // bytes of one size line; over it is 400
    std::size_t trailers = 8192;   // bytes of the trailer section; over it is 400
  };
  struct Step {
    std::size_t consumed = 0;  // bytes of the input that are used up
    std::string_view data;     // decoded bytes: a part of those consumed; may be empty
    bool done = false;         // the last chunk and the trailer section have ended
  };

  // Where trailer fields go that may come as such (is_trailer_field).
  struct Trailers {
    Headers fields;
    std::string line = {};  // the one that is arriving
  };

  ChunkedDecoder() = default;
  explicit ChunkedDecoder(Limits limits) : limits_(limits) {}

  // Consumes up to the end of the next run of data. `consumed` 0 with empty `data` and not done: more bytes are needed.
  Result<Step> decode(std::string_view bytes);
  bool done() const;
  // From here on trailers are kept in `into`, which outlives their arrival.
  void keep_trailers(Trailers& into) { trailers_ = &into; }
  // Bytes of the current chunk that are still to come, as far as its size line has been read: enough to refuse one that
  // is too large.
  std::uint64_t announced() const { return left_; }

 private:
  enum class State : std::uint8_t;
  Limits limits_;
  Trailers* trailers_ = nullptr;
  std::uint8_t state_ = 0;
  std::uint64_t left_ = 0;  // of the current chunk's data
  std::size_t line_ = 0;    // bytes of the current size line or trailer section so far
  bool any_digit_ = false;
};

// Whether a field has a meaning when it comes behind a body (RFC 9110 section 6.5.1): not one that frames, routes,
// authenticates, describes the content or steers caches, all of which are over by then.
bool is_trailer_field(std::string_view name);

// "1f4\r\n": what goes before a chunk's data. The data is followed by kChunkEnd, the body by kLastChunk.
std::string chunk_prefix(std::uint64_t size);
inline constexpr std::string_view kChunkEnd = "\r\n";
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace fivefold::http
