#pragma once
// Worker mode: a script that is started once and asks for request after request with fivefold_handle_request().
#include <string>

#include "channel/channels.h"
#include "php/engine.h"

namespace fivefold::worker::php {

// Starts `script` again and again until the channels have ended. A script that ends without having asked for a request
// ends the process with kExitStart: the server knows how to start workers later and later.
void run_loop(Channels& channels, const std::string& script);

// Whether a worker script is running in this process.
bool looping();
// fivefold_handle_request(): waits for a request and calls the function. false: the script should end.
bool handle_request(zend_fcall_info& call, zend_fcall_info_cache& cache);

}  // namespace fivefold::worker::php
