#pragma once
// The output of a CGI script on its way into the response: the head is cut off, the rest passes.
#include <string>
#include <string_view>

#include "channel/request.h"

namespace fivefold::perl {

class CgiOutput {
 public:
  void begin(worker::Request& request);
  // false when nobody reads the response any more.
  bool write(std::string_view bytes);
  // Some bytes have come, but not yet the empty line that ends the head.
  bool in_head() const { return !head_done_ && !head_.empty(); }
  bool head_done() const { return head_done_; }
  bool head_too_long() const { return too_long_; }

  static constexpr std::size_t kMostHead = 256 * 1024;

 private:
  void take_head(std::string_view lines);

  worker::Request* request_ = nullptr;
  std::string head_;  // what has come of it
  bool head_done_ = false;
  bool too_long_ = false;
};

// Where the empty line that ends a head ends; npos when it has not come. Lines end with LF or CRLF.
std::size_t end_of_head(std::string_view bytes, std::size_t from);
// A head as scripts print it in the form of the protocol: CRLF, no empty line, a status line as a field.
std::string head_lines(std::string_view head);

}  // namespace fivefold::perl
