#pragma once
// A file that a script names with X-Sendfile or X-Accel-Redirect, sent in the script's place.
#include <string>

#include "base/error.h"
#include "exchange/exchange.h"

namespace fivefold::exchange {

// Makes the response's body (and Content-Type, Last-Modified, conditional answers and a single range, unless the script
// has spoken) from the file `name` beneath `root`: a path below it, or an absolute one that begins with it. Errors:
// Code::program_failed when the file cannot be sent (it is the script's mistake), Code::precondition_failed,
// Code::range_not_satisfiable.
Result<Response> send_file(const std::string& root, std::string_view name, Response response, bool status_given,
                           const http::Head& head, std::int64_t unix_now);

}  // namespace fivefold::exchange
