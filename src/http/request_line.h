#pragma once
// The first line of a request: method, target, version (RFC 9112 section 3).
#include <string_view>

#include "base/error.h"
#include "http/head.h"

namespace fivefold::http {

// Fills method to minor_version of `head` from `line`, which has no CRLF; host and port when the target carries them.
// The views point into `line`. Controls but the tab have been refused before.
Result<void> parse_request_line(std::string_view line, Head& head);

}  // namespace fivefold::http
