#pragma once
// The one table from what went wrong to what the client is told.
#include "base/error.h"

namespace fivefold::serve {

// The HTTP status for a code; 0 for the transport codes, after which nobody is left to tell.
int status_of(Code code);

// Whether the connection cannot go on after this error: its framing is lost or its client misbehaves.
bool closes_connection(Code code);

}  // namespace fivefold::serve
