#pragma once
// The server interface ("SAPI") of PHP: how the engine asks for a request and where it puts a response.
//
// PHP ends a script with longjmp from within any of these functions. None of them, nor what calls into the engine, has
// an object with a destructor on its stack at that moment; what must live longer is here.
#include <string>

#include "channel/request.h"
#include "php/engine.h"

namespace fivefold::worker::php {

extern sapi_module_struct sapi;

// The request that is under way, and what the engine did with it.
struct Turn {
  Request* request = nullptr;
  std::string head;  // given by the engine, not handed to the channel while there is no body
  bool body_begun = false;
  bool body_broken = false;  // found while the engine read a form, before the script
  bool stopped = false;      // by the server's time limit
  bool filter_told = false;  // the filter extension knows the variables
  std::string failure;       // the error that ended the script
};
extern Turn turn;
void reset_turn();

// Before php_request_startup(): SG(request_info) of `request`.
void begin_turn(Request& request);
// Hands a head that waits to the channel, as the body or the end of the response comes next.
void send_head();
// After php_request_shutdown() or what is in its place.
Outcome end_turn();

// After the engine has started: errors that end a script are noted in `turn`.
void watch_errors();

// Called in the signal handler of the deadline: the script is stopped at the next instruction.
void stop_script();

}  // namespace fivefold::worker::php
