#pragma once
// The patterns of a route: which paths and hosts they take, and whether one takes everything that another could.
// Patterns meet the decoded, normalised path: "/exact", "/prefix/*", "*.suffix" (of any segment of the path: "*.php"
// takes "/a.php/b" too).
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/table_reader.h"

namespace fivefold::config {

Complaint check_path_pattern(std::string_view pattern);
Complaint check_host_pattern(std::string_view pattern);

// Every path that `narrow` takes is taken by `wide`.
bool covers_path(std::string_view wide, std::string_view narrow);
// Every host that `narrow` takes is taken by `wide`; lower case.
bool covers_host(std::string_view wide, std::string_view narrow);
// Every request that `narrow` takes is taken by `wide`.
bool covers(const Route& wide, const Route& narrow);

// A warning for each route that can never match, because an earlier one takes everything it could. The cost grows with
// the routes that are alike, not with all pairs.
void check_reachable(const std::vector<Route>& routes, Faults& faults);

}  // namespace fivefold::config
