#pragma once
// The trailer section behind a chunked response body (RFC 9110 section 6.5).
#include <string>

#include "http/head.h"
#include "http/headers.h"

namespace fivefold::serve {

// Whether the client has said that it looks at trailer fields (TE: trailers, RFC 9110 section 10.1.4).
bool accepts_trailers(const http::Head& head);

// The last chunk with those of the fields that may stand behind a body: nothing that frames, routes, authenticates,
// controls or describes the message before it (RFC 9110 section 6.5.1).
std::string last_chunk_with(const http::Headers& trailers);

}  // namespace fivefold::serve
