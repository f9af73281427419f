#pragma once
// What is told of an exception that nobody in the application has caught.
#include <string>

#include "channel/request.h"
#include "python_object.h"

namespace fivefold::python {

struct Failure {
  std::string summary;       // one line: "ValueError: no such thing (view() in /srv/shop/views.py, line 12)"
  std::string message;       // str(exception)
  std::string traceback;     // as Python prints it; ends with a line feed
  bool client_left = false;  // raised by set_client_left(): nobody's fault
  bool cancelled = false;    // asyncio.CancelledError
  bool timed_out = false;    // the time limit's own exception
};

// Makes the exception's class of set_client_left(); false with an exception set when that fails. Once, in the zygote.
bool prepare_failures();

// Sets fivefold.ClientLeft, a ConnectionResetError, as the exception.
void set_client_left(const char* message);

// Takes the exception that is set; none is left. SystemExit and KeyboardInterrupt are exceptions like any other.
Failure take_failure();

// An exception that changes nothing any more: its traceback goes to the log, under `what` ("close() of the response").
void log_failure(worker::Request& request, const char* what);

}  // namespace fivefold::python
