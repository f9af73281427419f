#pragma once
// What the fields of a request head mean for its host, its framing and its connection (RFC 9110 and 9112).
#include "base/error.h"
#include "http/head.h"

namespace fivefold::http {

// Fills host (unless the target gave one) to upgrade of `head` from its fields and version.
Result<void> read_request_fields(Head& head);

}  // namespace fivefold::http
