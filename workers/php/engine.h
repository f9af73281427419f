#pragma once
// PHP's headers. They are C, and come last: their macros have short names.
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

extern "C" {
// clang-format off
#include <main/php.h>
#include <main/SAPI.h>
#include <main/php_globals.h>
#include <main/php_ini.h>
#include <main/php_main.h>
#include <main/php_output.h>
#include <main/php_variables.h>
#include <Zend/zend_exceptions.h>
#include <Zend/zend_ini.h>
#include <Zend/zend_signal.h>
#include <ext/spl/spl_exceptions.h>
#include <ext/standard/basic_functions.h>
#include <ext/standard/head.h>
#include <ext/standard/info.h>
#include <ext/standard/php_lcg.h>
// clang-format on
}

#ifdef ZTS
#error "A worker is one thread: it needs a PHP that was built without thread safety (ZTS)."
#endif
