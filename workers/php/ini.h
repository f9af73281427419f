#pragma once
// Where PHP's settings come from, and those of the program over them.
#include <expected>
#include <string>

#include "channel/settings.h"

namespace fivefold::worker::php {

// Before the engine starts: chooses the folder with php.ini and conf.d, and gives the lines for
// sapi_module.ini_entries. The error is a sentence.
std::expected<std::string, std::string> prepare_ini(const Settings& settings);
// After it has started: `admin` settings can be changed by nobody any more.
void lock_admin_settings(const Settings& settings);

// One line of php.ini: "name='value'", so that the value is taken as it is. What looks like an expression of constants
// ("E_ALL & ~E_NOTICE") stays one. Empty when there is no way to write it.
std::string ini_line(std::string_view name, std::string_view value);

}  // namespace fivefold::worker::php
