#include "base/error.h"

#include <system_error>

namespace fivefold {

std::string errno_text(int error_number) { return std::generic_category().message(error_number); }

std::unexpected<Error> fail_errno(int error_number, std::string what, Code code) {
  return fail(code, std::move(what) + ": " + errno_text(error_number));
}

}  // namespace fivefold
