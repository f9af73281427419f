#pragma once
// From the path of a request target to the one path that routing, authorisation and files all see.
#include <string>
#include <string_view>

#include "base/error.h"

namespace fivefold::http {

// Decodes percent-encoding exactly once, then removes "." and ".." and empty segments ("//").
// 400 for: a bad escape, %00 or another encoded control (CVE-2020-1927), a path that climbs above the root, a raw
// space, control or 8-bit byte, a first byte other than a slash. An encoded slash (%2f) never becomes a separator: it
// is 404 (CVE-2021-41773, CVE-2021-42013, CVE-2019-0220). Backslash is an ordinary byte. Appends nothing to and reads
// nothing from the world. `path` (cleared first, capacity reused) begins with '/'.
Result<void> normalize_path(std::string_view raw_path, std::string& path);

// The two ways to read a path that normalize_path refuses for its encoded slashes, for whoever passes it on undecoded
// and must know where either leads: `as_name` keeps each as the three bytes "%2F" within a name, `as_separator` is the
// path with '/' in their place; both are normalised. Errors: not_found when there is a "." or ".." in the second
// reading, which no two programs resolve alike; else normalize_path's.
Result<void> read_encoded_slashes(std::string_view raw_path, std::string& as_name, std::string& as_separator);

// Whether a segment of `raw_path` is "." or "..", however it is encoded.
bool has_dot_segment(std::string_view raw_path);

}  // namespace fivefold::http
