#include "php/loop.h"

#include <syslog.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "channel/zygote.h"
#include "php/execution.h"
#include "php/renewal.h"
#include "php/restart.h"
#include "php/sapi.h"

namespace fivefold::worker::php {

namespace {

Channels* channels_of_loop = nullptr;
bool starting = false;  // the script has not asked for a request yet
bool channels_over = false;
bool restarting = false;   // the script was told to end, to be started again
unsigned long served = 0;  // since the script was started

// What the script prints and asks before its first request belongs to none.
void end_start() {
  starting = false;
  end_renewed();
  remember_settings();
}

// exit(1) says that something went wrong; it has cost the start of the script, too.
void tell_exit(Request& request) {
  request.log(LOG_WARNING, "The worker script was ended by exit(" + std::to_string(EG(exit_status)) +
                               ") within a request; it is started again.");
}

void run_script(const std::string& script) {
  starting = true;
  served = 0;
  restarting = false;
  restart_done();
  reset_turn();
  SG(server_context) = nullptr;
  SG(request_info) = {};
  SG(request_info).path_translated = const_cast<char*>(script.c_str());
  SG(request_info).no_headers = true;
  execute(script.c_str());
  forget_settings();
}

}  // namespace

bool looping() { return channels_of_loop != nullptr; }

void run_loop(Channels& channels, const std::string& script) {
  channels_of_loop = &channels;
  channels.when_interrupted(restart_told);
  while (!channels_over && !channels.nonsense()) {
    run_script(script);
    if (channels.forked()) _exit(EG(exit_status));
    // Ended in the middle of a request: by exit(), a fatal error or a limit.
    if (channels.current() != nullptr) {
      if (EG(exit_status) != 0 && turn.failure.empty()) tell_exit(*channels.current());
      channels.complete(end_turn());
      ++served;
    }
    if (served == 0 && !channels_over && !restarting) {
      std::fprintf(stderr, "The worker script %s has ended without a call of fivefold_handle_request().\n",
                   script.c_str());
      std::fflush(nullptr);
      _exit(kExitStart);
    }
  }
}

bool handle_request(zend_fcall_info& call, zend_fcall_info_cache& cache) {
  if (turn.request != nullptr) {
    zend_throw_error(nullptr, "fivefold_handle_request() was called while a request is handled");
    return false;
  }
  if (starting) end_start();
  restarting = restart_asked();
  if (channels_over || restarting) return false;
  Request* request = channels_of_loop->next();
  if (request == nullptr) {
    // Interrupted for a restart of opcache, or over.
    restarting = channels_of_loop->interrupted();
    channels_over = !restarting;
    return false;
  }
  begin_turn(*request);
  deadline.set(request->time_limit_ms());
  if (begin_renewed()) {
    zval result;
    ZVAL_UNDEF(&result);
    call.retval = &result;
    call.params = nullptr;
    call.param_count = 0;
    if (zend_call_function(&call, &cache) == SUCCESS) zval_ptr_dtor(&result);
    if (EG(exception) != nullptr) {
      // exit() ends the script, and with it the request: run_loop() goes on.
      if (zend_is_unwind_exit(EG(exception))) return false;
      if (Z_TYPE(EG(user_exception_handler)) != IS_UNDEF) zend_user_exception_handler();
      if (EG(exception) != nullptr) {
        if (zend_is_unwind_exit(EG(exception))) return false;
        zend_exception_error(EG(exception), E_ERROR);
        if (!SG(headers_sent) && !PG(display_errors)) SG(sapi_headers).http_response_code = 500;
      }
    }
  }
  if (channels_of_loop->forked()) zend_bailout();
  deadline.clear();
  end_renewed();
  channels_of_loop->complete(end_turn());
  ++served;
  return true;
}

}  // namespace fivefold::worker::php
