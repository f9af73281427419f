// Any bytes, cut in any way: no crash, the same verdict as in one piece, and nothing in the result that could not be
// sent on.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "gateway/cgi_response.h"

using fivefold::gateway::CgiHead;
using fivefold::gateway::CgiHeadLimits;
using fivefold::gateway::CgiHeadParser;

namespace {

std::string verdict(const fivefold::Result<std::size_t>& parsed, const CgiHead& head) {
  if (!parsed) return "refused: " + parsed.error().message;
  if (*parsed == 0) return "not whole";
  return std::to_string(*parsed) + " " + std::to_string(head.status) + " " + head.reason + " " +
         std::to_string(static_cast<int>(head.kind)) + " " + head.local_target + " " + head.send_file + " " +
         std::to_string(head.content_length.value_or(~0ull)) + "\n" + head.headers.wire();
}

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::size_t step = 1 + data[0] % 16;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const CgiHeadLimits limits{.head = 512, .fields = 16};

  CgiHeadParser whole(limits);
  CgiHead at_once;
  const auto parsed = whole.parse(bytes, at_once);

  CgiHeadParser pieces(limits);
  CgiHead piecewise;
  fivefold::Result<std::size_t> last = std::size_t{0};
  for (std::size_t end = 0; last && *last == 0 && end < bytes.size();) {
    end = std::min(bytes.size(), end + step);
    last = pieces.parse(bytes.substr(0, end), piecewise);
  }
  if (parsed && last) require(verdict(parsed, at_once) == verdict(last, piecewise));
  require(parsed.has_value() == last.has_value());  // messages may differ in how much of the output they could show

  if (parsed && *parsed > 0) {
    require(at_once.status >= 200 && at_once.status <= 599);
    require(*parsed <= limits.head);
    for (const char c : at_once.reason) require(c >= ' ' && c <= '~');
    for (const char c : at_once.local_target) require(c > ' ' && c <= '~');
    at_once.headers.for_each([](std::string_view name, std::string_view value) {
      require(fivefold::http::is_token(name));
      require(fivefold::http::is_field_value(value));
    });
    require(!at_once.headers.has("Transfer-Encoding") && !at_once.headers.has("Connection") &&
            !at_once.headers.has("Content-Length"));
  }
  return 0;
}
