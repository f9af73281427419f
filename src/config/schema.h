#pragma once
// Every table of the configuration with its keys, their types and defaults, as the readers themselves declare them.
#include <vector>

#include "config/server_section.h"

namespace fivefold::config {

std::vector<SectionKeys> schema();

}  // namespace fivefold::config
