#pragma once
// The functions that scripts find under this server, beside the engine's own.
#include "php/engine.h"

namespace fivefold::worker::php {

extern zend_module_entry own_module;

// After php_module_startup(): the name that scripts see as PHP_SAPI. See functions.cc.
void restore_name();

}  // namespace fivefold::worker::php
