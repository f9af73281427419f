#pragma once
// SCGI and uwsgi request heads: bytes only. The response of both is CGI output (gateway/cgi_response.h); SCGI's also
// may be a whole HTTP response head, as uwsgi's.
#include <cstdint>
#include <string>

#include "base/error.h"
#include "process/spawn_plan.h"

namespace fivefold::gateway {

// The netstring of headers, CONTENT_LENGTH first (0 where there is no body), then SCGI=1, then the rest of
// `environment`
// ("NAME=value" each). The body follows as it is.
std::string scgi_request(const process::StringBlock& environment, std::uint64_t content_length);

// The uwsgi packet (modifier1 0, modifier2 0) with all variables. Code::header_too_large when they do not fit its 16
// bit size: the message says so.
Result<std::string> uwsgi_request(const process::StringBlock& environment);

}  // namespace fivefold::gateway
