#pragma once
// Where the executables lie that hold an interpreter for the model "module".
#include <string>

#include "config/config.h"

namespace fivefold::config {

// The absolute path of fivefold-php and its like: beside this executable in a build folder, beneath lib or libexec of
// where it is installed. Empty when it is not there.
std::string worker_executable(Language language);

// What to install for it.
std::string worker_mend(Language language);

}  // namespace fivefold::config
