#pragma once
// One [[route]].
#include "config/table_reader.h"

namespace fivefold::config {

// `number` counts from 0 and names the route in Config::positions: "route[0].files". `describe`, if any, gets the keys.
Route read_route(const Node& table, std::size_t number, Context& context,
                 std::vector<KeyDescription>* describe = nullptr);

}  // namespace fivefold::config
