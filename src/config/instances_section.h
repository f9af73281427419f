#pragma once
// `instances` of a program that has a pool: a number, or a table.
#include "config/server_section.h"
#include "config/table_reader.h"

namespace fivefold::config {

// The numbers are the defaults of a program that does not say; a table's own are 1. `describe`, if any, gets its keys.
void read_instances(TableReader& parent, std::uint32_t& least, std::uint32_t& most, milliseconds& idle_timeout,
                    std::vector<SectionKeys>* describe = nullptr);

}  // namespace fivefold::config
