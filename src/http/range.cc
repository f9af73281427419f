#include <algorithm>

#include "base/text.h"
#include "http/conditional.h"
#include "http/date.h"
#include "http/entity_tag.h"

namespace fivefold::http {
namespace {

constexpr std::string_view kUnit = "bytes=";

// Digits alone; a number over 64 bits is as good as the largest one.
std::optional<std::uint64_t> parse_position(std::string_view text) {
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  return parse_decimal(text).value_or(UINT64_MAX);
}

// A range and its place among those asked for.
struct Asked {
  std::uint64_t first, last;  // both inclusive, both below the size
  std::size_t place;
};

enum class Spec : std::uint8_t { malformed, unsatisfiable, satisfiable };

Spec parse_spec(std::string_view text, std::uint64_t size, Asked& asked) {
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) return Spec::malformed;
  const auto last = parse_position(text.substr(dash + 1));
  if (dash == 0) {
    if (!last) return Spec::malformed;
    if (*last == 0 || size == 0) return Spec::unsatisfiable;
    asked.first = size - std::min(*last, size);
    asked.last = size - 1;
    return Spec::satisfiable;
  }
  const auto first = parse_position(text.substr(0, dash));
  const bool open = dash + 1 == text.size();
  if (!first || (!open && (!last || *last < *first))) return Spec::malformed;
  if (*first >= size) return Spec::unsatisfiable;
  asked.first = *first;
  asked.last = open ? size - 1 : std::min(*last, size - 1);
  return Spec::satisfiable;
}

// Overlapping and adjacent ranges become one, at the place of the earliest of them.
void merge(std::vector<Asked>& ranges) {
  std::ranges::sort(ranges, {}, &Asked::first);
  std::size_t kept = 0;
  for (const Asked& next : ranges) {
    if (kept > 0 && next.first <= ranges[kept - 1].last + 1) {
      ranges[kept - 1].last = std::max(ranges[kept - 1].last, next.last);
      ranges[kept - 1].place = std::min(ranges[kept - 1].place, next.place);
    } else {
      ranges[kept++] = next;
    }
  }
  ranges.resize(kept);
  std::ranges::sort(ranges, {}, &Asked::place);
}

// RFC 9110 section 13.1.5. A date is a strong validator only when the second it names is over (section 8.8.2.2).
bool if_range_holds(const Head& head, const Validators& validators, std::int64_t now) {
  const auto value = head.field("If-Range");
  if (!value) return true;
  if (value->starts_with('"') || value->starts_with("W/"))
    return is_entity_tag(*value) && strongly_equal(*value, validators.etag);
  const auto date = parse_date(*value, now);
  return date && validators.last_modified && *date == *validators.last_modified && *date < now;
}

}  // namespace

RangeDecision decide_ranges(const Head& head, const Validators& validators, std::uint64_t size, std::size_t max_ranges,
                            std::int64_t now) {
  RangeDecision decision;
  if (head.method != Method::get) return decision;
  const auto value = head.field("Range");
  if (!value || !equals_ignoring_case(value->substr(0, kUnit.size()), kUnit)) return decision;
  if (!if_range_holds(head, validators, now)) return decision;

  std::vector<Asked> asked;
  std::size_t specs = 0;
  bool malformed = false;
  for_each_list_item(value->substr(kUnit.size()), [&](std::string_view item) {
    Asked range{.first = 0, .last = 0, .place = specs++};
    switch (parse_spec(item, size, range)) {
      case Spec::malformed:
        malformed = true;
        break;
      case Spec::unsatisfiable:
        break;
      case Spec::satisfiable:
        asked.push_back(range);
        break;
    }
  });
  if (malformed || specs == 0) return decision;
  if (asked.empty()) {
    decision.kind = RangeDecision::Kind::unsatisfiable;
    return decision;
  }
  merge(asked);
  if (asked.size() > max_ranges) return decision;
  decision.kind = RangeDecision::Kind::partial;
  decision.ranges.reserve(asked.size());
  for (const Asked& range : asked) decision.ranges.push_back({range.first, range.last - range.first + 1});
  return decision;
}

}  // namespace fivefold::http
