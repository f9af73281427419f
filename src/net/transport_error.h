#pragma once
// What a failed read or write of a connection is called.
#include <cerrno>
#include <string>

#include "base/error.h"

namespace fivefold::net::detail {

inline std::unexpected<Error> transport_error(int error_number, const char* what) {
  if (error_number == EPIPE || error_number == ECONNRESET || error_number == ETIMEDOUT || error_number == ECANCELED ||
      error_number == EBADF)
    return fail(Code::closed, std::string(what) + ": the other side is gone");
  return fail_errno(error_number, what, Code::closed);
}

}  // namespace fivefold::net::detail
