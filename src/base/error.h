#pragma once
// What can go wrong on a request's path, as a value. Exceptions are kept for bugs.
#include <expected>
#include <string>

namespace fivefold {

// What went wrong, by the party at fault. `serve/error_status` is the one table that turns a code into an HTTP status.
enum class Code {
  // The client asked for something it cannot have.
  bad_request,            // 400: malformed or ambiguous; the connection closes
  forbidden,              // 403
  not_found,              // 404
  method_not_allowed,     // 405: `detail` is the Allow header's value
  request_timeout,        // 408: too slow; the connection closes
  precondition_failed,    // 412
  content_too_large,      // 413
  uri_too_long,           // 414
  range_not_satisfiable,  // 416: `detail` is the Content-Range value
  expectation_failed,     // 417
  header_too_large,       // 431
  not_implemented,        // 501: a method or transfer coding we do not have
  version_not_supported,  // 505
  // The program behind the route failed.
  program_failed,       // 502: died, or answered nonsense
  program_unavailable,  // 503: queue full or cannot start now; `detail` is the Retry-After value in seconds
  program_timeout,      // 504
  // The machine or we failed.
  internal,          // 500
  out_of_resources,  // 503: no descriptors, no memory, disk full
  // Transport: nobody is left to read an answer.
  closed,     // the peer closed or reset the connection
  timed_out,  // a read or write deadline passed
  cancelled,  // the server is shutting down, or the owner let go
};

// A failure. `message` is a sentence for the log and, in development, the error page; `detail` is what the code says it
// is.
struct Error {
  Code code = Code::internal;
  std::string message;
  std::string detail = {};
};

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(Code code, std::string message, std::string detail = {}) {
  return std::unexpected(Error{code, std::move(message), std::move(detail)});
}

// "open /x/y: No such file or directory", with the code for a failed system call on the server's own behalf.
std::unexpected<Error> fail_errno(int error_number, std::string what, Code code = Code::internal);

// The system's words for an errno, thread-safe.
std::string errno_text(int error_number);

}  // namespace fivefold
