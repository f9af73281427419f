// Response heads of any bytes: cut up at arrival or not, the verdict and what is read are the same, every view lies
// within the input, and what is passed on frames a message in one way only.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "http/response_parser.h"

using namespace fivefold;
using namespace fivefold::http;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void require_within(std::string_view view, std::string_view bytes) {
  require(view.empty() || (view.data() >= bytes.data() && view.data() + view.size() <= bytes.data() + bytes.size()));
}

void require_sound(const ReceivedHead& head, std::string_view bytes) {
  require(head.status >= 100 && head.status <= 599);
  require(head.minor_version == 0 || head.minor_version == 1);
  require_within(head.reason, bytes);
  require(is_field_value(head.reason));
  int lengths = 0, codings = 0;
  for (const Field& field : head.fields) {
    require_within(field.name, bytes);
    require_within(field.value, bytes);
    require(is_token(field.name) && is_field_value(field.value));
    Headers copy;
    require(copy.add(field.name, field.value));
    require(copy.wire().find('\n') == copy.wire().size() - 1);
    if (copy.has("content-length")) ++lengths;
    if (copy.has("transfer-encoding")) ++codings;
  }
  require(lengths + codings <= 1);
  require(head.framing != ReceivedHead::Framing::length || head.announced == head.length);
  require(head.framing != ReceivedHead::Framing::until_close || !head.keep_alive);
  require(head.framing != ReceivedHead::Framing::chunked || codings == 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Method request = (data[0] & 1) != 0 ? Method::get : Method::head;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const ResponseLimits limits{.head = 400, .fields = 8};  // small, so that small inputs meet them
  ReceivedHead whole;
  const auto at_once = ResponseHeadParser(limits).parse(bytes, request, whole);
  if (at_once && *at_once > 0) require_sound(whole, bytes);

  ResponseHeadParser parser(limits);
  ReceivedHead head;
  for (std::size_t end = 0; end <= bytes.size() && end < 600; ++end) {
    const std::string front(bytes.substr(0, end));  // moves each time
    const auto step = parser.parse(front, request, head);
    if (step && *step == 0) {
      require(end < bytes.size() || (at_once && *at_once == 0));
      continue;
    }
    require(step.has_value() == at_once.has_value());
    if (step) {
      require(*step == *at_once && head.status == whole.status && head.framing == whole.framing);
      require(head.fields.size() == whole.fields.size() && head.keep_alive == whole.keep_alive);
      require_sound(head, front);
    }
    break;
  }
  return 0;
}
