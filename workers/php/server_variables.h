#pragma once
// $_SERVER, made from the program's environment and what the server says of a request.
#include "php/engine.h"

namespace fivefold::worker::php {

// In the zygote, after the engine has started: keeps what is the same for all requests.
void prepare_server_variables();
// What sapi_module.register_server_variables is.
void put_server_variables(zval* array);

}  // namespace fivefold::worker::php
