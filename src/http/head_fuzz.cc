// Heads of any bytes: cut up at arrival or not, the verdict and what is read are the same, and every view lies within
// the input.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "http/head.h"
#include "http/headers.h"

using namespace fivefold;
using namespace fivefold::http;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void require_within(std::string_view view, std::string_view bytes) {
  require(view.empty() || view == "/" ||
          (view.data() >= bytes.data() && view.data() + view.size() <= bytes.data() + bytes.size()));
}

void require_same(const Result<ParsedHead>& one, const Result<ParsedHead>& other) {
  require(one.has_value() == other.has_value());
  if (one)
    require(one->consumed == other->consumed);
  else
    require(one.error().code == other.error().code && one.error().message == other.error().message);
}

void require_sound(const Head& head, std::string_view bytes) {
  for (const auto view : {head.method_text, head.target, head.raw_path, head.query, head.host, head.host_field})
    require_within(view, bytes);
  require(is_token(head.method_text));
  require(head.raw_path.starts_with('/') || head.form == TargetForm::asterisk || head.form == TargetForm::authority);
  for (const Field& field : head.fields) {
    require_within(field.name, bytes);
    require_within(field.value, bytes);
    require(is_token(field.name) && is_field_value(field.value));
  }
  require(!head.chunked || !head.content_length);
  require(head.minor_version == 0 || !head.host.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  // Small limits, so that small inputs meet them.
  const HeadLimits limits{.line = 100, .head = 400, .fields = 8, .field = 80};
  Head whole;
  const auto at_once = HeadParser(limits).parse(bytes, whole);
  if (at_once && at_once->consumed > 0) require_sound(whole, bytes);

  for (std::size_t cut = 0; cut < size && cut < 600; cut += 2) {
    HeadParser parser(limits);
    Head head;
    const std::string front(bytes.substr(0, cut));
    const auto first = parser.parse(front, head);
    if (first && first->consumed == 0) {
      const std::string copy(bytes);
      const auto second = parser.parse(copy, head);
      require_same(second, at_once);
      if (second && second->consumed > 0) {
        require_sound(head, copy);
        require(head.target == whole.target && head.fields.size() == whole.fields.size());
      }
    } else {
      require_same(first, at_once);  // a verdict on the front alone is the verdict on all
    }
  }

  HeadParser parser(limits);
  Head head;
  for (std::size_t end = 0; end <= size && end < 600; end += 2) {
    const auto step = parser.parse(bytes.substr(0, end), head);
    if (step && step->consumed == 0) continue;
    require_same(step, at_once);
    break;
  }
  return 0;
}
