#pragma once
// Conditional requests (RFC 9110 section 13) and ranges (section 14): decisions from a head and a representation, no
// I/O.
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "http/head.h"

namespace fivefold::http {

// What is known of the representation that would be sent.
struct Validators {
  std::string_view etag;                      // with its quotes, "W/" if weak; empty when there is none
  std::optional<std::int64_t> last_modified;  // unix seconds
};

enum class Condition : std::uint8_t { proceed, not_modified, precondition_failed };

// Evaluates If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since in the order of RFC 9110 section 13.2.2.
Condition evaluate(const Head& head, const Validators& validators, std::int64_t now);

struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t length = 0;
};

struct RangeDecision {
  enum class Kind : std::uint8_t { whole, partial, unsatisfiable } kind = Kind::whole;
  std::vector<ByteRange> ranges;  // for partial: in the order asked, overlapping and adjacent ones merged
};

// Decides on Range and If-Range for a GET. `whole` also for an unknown unit, a malformed set, more than `max_ranges`
// ranges after merging (CVE-2011-3192), or a failed If-Range.
RangeDecision decide_ranges(const Head& head, const Validators& validators, std::uint64_t size, std::size_t max_ranges,
                            std::int64_t now);

}  // namespace fivefold::http
