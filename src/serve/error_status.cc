#include "serve/error_status.h"

namespace fivefold::serve {

int status_of(Code code) {
  switch (code) {
    case Code::bad_request:
      return 400;
    case Code::forbidden:
      return 403;
    case Code::not_found:
      return 404;
    case Code::method_not_allowed:
      return 405;
    case Code::request_timeout:
      return 408;
    case Code::precondition_failed:
      return 412;
    case Code::content_too_large:
      return 413;
    case Code::uri_too_long:
      return 414;
    case Code::range_not_satisfiable:
      return 416;
    case Code::expectation_failed:
      return 417;
    case Code::header_too_large:
      return 431;
    case Code::internal:
      return 500;
    case Code::not_implemented:
      return 501;
    case Code::program_failed:
      return 502;
    case Code::program_unavailable:
    case Code::out_of_resources:
      return 503;
    case Code::program_timeout:
      return 504;
    case Code::version_not_supported:
      return 505;
    case Code::closed:
    case Code::timed_out:
    case Code::cancelled:
      return 0;
  }
  return 500;
}

bool closes_connection(Code code) {
  switch (code) {
    case Code::bad_request:
    case Code::request_timeout:
    case Code::content_too_large:
    case Code::uri_too_long:
    case Code::header_too_large:
    case Code::version_not_supported:
    case Code::closed:
    case Code::timed_out:
    case Code::cancelled:
      return true;
    default:
      return false;
  }
}

}  // namespace fivefold::serve
