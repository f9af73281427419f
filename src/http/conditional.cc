#include "http/conditional.h"

#include "base/text.h"
#include "http/date.h"
#include "http/entity_tag.h"

namespace fivefold::http {
namespace {

using Compare = bool (*)(std::string_view, std::string_view);

// Whether any tag of any field of that name equals `etag`; "*" equals whatever exists. Nothing when there is no such
// field.
std::optional<bool> names(const Head& head, std::string_view name, std::string_view etag, Compare equal) {
  bool present = false;
  bool found = false;
  for (const Field& field : head.fields) {
    if (!equals_ignoring_case(field.name, name)) continue;
    present = true;
    if (field.value == "*") found = true;
    for_each_entity_tag(field.value, [&](std::string_view tag) { found = found || equal(tag, etag); });
  }
  if (!present) return std::nullopt;
  return found;
}

std::optional<std::int64_t> date_field(const Head& head, std::string_view name, std::int64_t now) {
  const auto value = head.field(name);
  return value ? parse_date(*value, now) : std::nullopt;
}

}  // namespace

Condition evaluate(const Head& head, const Validators& validators, std::int64_t now) {
  const bool reads = head.method == Method::get || head.method == Method::head;
  if (const auto matches = names(head, "If-Match", validators.etag, strongly_equal)) {
    if (!*matches) return Condition::precondition_failed;
  } else if (validators.last_modified) {
    const auto since = date_field(head, "If-Unmodified-Since", now);
    if (since && *validators.last_modified > *since) return Condition::precondition_failed;
  }
  if (const auto matches = names(head, "If-None-Match", validators.etag, weakly_equal)) {
    if (*matches) return reads ? Condition::not_modified : Condition::precondition_failed;
  } else if (reads && validators.last_modified) {
    const auto since = date_field(head, "If-Modified-Since", now);
    if (since && *validators.last_modified <= *since) return Condition::not_modified;
  }
  return Condition::proceed;
}

}  // namespace fivefold::http
