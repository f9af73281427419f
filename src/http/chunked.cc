#include "http/chunked.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/text.h"
#include "http/octets.h"

namespace fivefold::http {

// Where in the grammar of RFC 9112 section 7.1 the next byte stands. Every line end is CRLF and nothing else.
enum class ChunkedDecoder::State : std::uint8_t {
  size,  // hex digits of a chunk's size
  extension_name_start,
  extension_name,
  after_name,  // white space between an extension's name and its '=' or the next ';'
  extension_value_start,
  extension_value,
  quoted,
  quoted_pair,
  after_value,  // behind a value: ';' or the line's end
  after_value_space,
  size_end,  // LF of the size line
  data,
  data_cr,
  data_lf,
  trailer_start,
  trailer_name,
  trailer_value,
  trailer_lf,
  last_lf,  // LF of the empty line that ends everything
  done,
};

namespace {

constexpr std::uint64_t kSizeLimit = INT64_MAX;  // file offsets and Content-Length end there too

bool is_space(char c) { return c == ' ' || c == '\t'; }

[[gnu::cold]] std::unexpected<Error> bad_chunk(std::string_view why) {
  return fail(Code::bad_request, "The chunked body " + std::string(why));
}

[[gnu::cold]] std::unexpected<Error> bad_octet(char octet, std::string_view where) {
  return bad_chunk("has the byte \"" + printable({&octet, 1}) + "\" " + std::string(where) +
                   "; send it as RFC 9112 section 7.1 says.");
}

void keep_line(ChunkedDecoder::Trailers& trailers) {
  const std::string_view line = trailers.line;
  const auto colon = line.find(':');
  if (is_trailer_field(line.substr(0, colon))) trailers.fields.add(line.substr(0, colon), line.substr(colon + 1));
}

}  // namespace

bool is_trailer_field(std::string_view name) {
  static constexpr std::string_view kOthers[] = {"transfer-encoding",
                                                 "content-length",
                                                 "connection",
                                                 "te",
                                                 "trailer",
                                                 "upgrade",
                                                 "keep-alive",
                                                 "proxy-connection",
                                                 "host",
                                                 "authorization",
                                                 "cookie",
                                                 "set-cookie",
                                                 "www-authenticate",
                                                 "location",
                                                 "proxy-authorization",
                                                 "proxy-authenticate",
                                                 "content-encoding",
                                                 "content-type",
                                                 "content-range",
                                                 "cache-control",
                                                 "expires",
                                                 "pragma",
                                                 "vary",
                                                 "age",
                                                 "date",
                                                 "retry-after",
                                                 "expect",
                                                 "max-forwards",
                                                 "range",
                                                 "if-match",
                                                 "if-none-match",
                                                 "if-modified-since",
                                                 "if-unmodified-since",
                                                 "if-range",
                                                 "status",
                                                 "x-sendfile",
                                                 "x-accel-redirect",
                                                 "content-disposition"};
  return std::none_of(std::begin(kOthers), std::end(kOthers),
                      [name](std::string_view other) { return equals_ignoring_case(name, other); });
}

bool ChunkedDecoder::done() const { return static_cast<State>(state_) == State::done; }

Result<ChunkedDecoder::Step> ChunkedDecoder::decode(std::string_view bytes) {
  auto state = static_cast<State>(state_);
  std::size_t at = 0;
  while (at < bytes.size() && state != State::done) {
    if (state == State::data) {
      const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size() - at));
      left_ -= size;
      state_ = std::to_underlying(left_ == 0 ? State::data_cr : State::data);
      return Step{.consumed = at + size, .data = bytes.substr(at, size), .done = false};
    }
    const char c = bytes[at++];
    if (state <= State::size_end && ++line_ > limits_.extension)
      return bad_chunk("has a chunk size line over " + std::to_string(limits_.extension) +
                       " bytes; leave the extensions out.");
    if (state >= State::trailer_name && state <= State::trailer_lf && ++line_ > limits_.trailers)
      return bad_chunk("has trailers over " + std::to_string(limits_.trailers) + " bytes; send fewer.");
    switch (state) {
      case State::size:
        if (const int digit = hex_digit(c); digit >= 0) {
          if (left_ > (kSizeLimit - static_cast<std::uint64_t>(digit)) / 16)
            return bad_chunk("has a chunk size over 2^63-1; send smaller chunks.");
          left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
          any_digit_ = true;
        } else if (any_digit_ && c == '\r') {
          state = State::size_end;
        } else if (any_digit_ && c == ';') {
          state = State::extension_name_start;
        } else {
          return bad_octet(c, "in a chunk size");
        }
        break;
      case State::extension_name_start:
        if (is_token_octet(c))
          state = State::extension_name;
        else if (!is_space(c))
          return bad_octet(c, "where a chunk extension's name begins");
        break;
      case State::extension_name:
        if (c == '=')
          state = State::extension_value_start;
        else if (c == ';')
          state = State::extension_name_start;
        else if (c == '\r')
          state = State::size_end;
        else if (is_space(c))
          state = State::after_name;
        else if (!is_token_octet(c))
          return bad_octet(c, "in a chunk extension's name");
        break;
      case State::after_name:
        if (c == '=')
          state = State::extension_value_start;
        else if (c == ';')
          state = State::extension_name_start;
        else if (!is_space(c))
          return bad_octet(c, "after a chunk extension's name");
        break;
      case State::extension_value_start:
        if (c == '"')
          state = State::quoted;
        else if (is_token_octet(c))
          state = State::extension_value;
        else if (!is_space(c))
          return bad_octet(c, "where a chunk extension's value begins");
        break;
      case State::quoted:
        if (c == '"')
          state = State::after_value;
        else if (c == '\\')
          state = State::quoted_pair;
        else if (!is_value_octet(c))
          return bad_octet(c, "in a chunk extension's quoted value");
        break;
      case State::quoted_pair:
        if (!is_value_octet(c)) return bad_octet(c, "in a chunk extension's quoted value");
        state = State::quoted;
        break;
      case State::extension_value:
        if (is_token_octet(c)) break;
        [[fallthrough]];
      case State::after_value:
        if (c == ';')
          state = State::extension_name_start;
        else if (c == '\r')
          state = State::size_end;
        else if (is_space(c))
          state = State::after_value_space;
        else
          return bad_octet(c, "after a chunk extension's value");
        break;
      case State::after_value_space:
        if (c == ';')
          state = State::extension_name_start;
        else if (!is_space(c))
          return bad_octet(c, "after a chunk extension's value");
        break;
      case State::size_end:
        if (c != '\n') return bad_octet(c, "after the CR of a chunk size line");
        line_ = 0;
        any_digit_ = false;
        state = left_ == 0 ? State::trailer_start : State::data;
        break;
      case State::data_cr:
        if (c != '\r') return bad_octet(c, "where a chunk's data should end");
        state = State::data_lf;
        break;
      case State::data_lf:
        if (c != '\n') return bad_octet(c, "where a chunk's data should end");
        state = State::size;
        break;
      case State::trailer_start:
        if (c == '\r') {
          state = State::last_lf;
        } else if (is_token_octet(c)) {
          ++line_;
          state = State::trailer_name;
          if (trailers_ != nullptr) trailers_->line.assign(1, c);
        } else {
          return bad_octet(c, "where a trailer field begins");
        }
        break;
      case State::trailer_name:
        if (c == ':')
          state = State::trailer_value;
        else if (!is_token_octet(c))
          return bad_octet(c, "in a trailer field's name");
        if (trailers_ != nullptr) trailers_->line.push_back(c);
        break;
      case State::trailer_value:
        if (c == '\r')
          state = State::trailer_lf;
        else if (!is_value_octet(c))
          return bad_octet(c, "in a trailer field's value");
        if (trailers_ != nullptr && c != '\r') trailers_->line.push_back(c);
        break;
      case State::trailer_lf:
        if (c != '\n') return bad_octet(c, "after the CR of a trailer field");
        if (trailers_ != nullptr) keep_line(*trailers_);
        state = State::trailer_start;
        break;
      case State::last_lf:
        if (c != '\n') return bad_octet(c, "after the last CR");
        state = State::done;
        break;
      case State::data:
      case State::done:
        break;
    }
  }
  state_ = std::to_underlying(state);
  return Step{.consumed = at, .data = {}, .done = state == State::done};
}

std::string chunk_prefix(std::uint64_t size) {
  char digits[16 + 2];
  char* end = std::to_chars(digits, digits + 16, size, 16).ptr;
  *end++ = '\r';
  *end++ = '\n';
  return std::string(digits, end);
}

}  // namespace fivefold::http
