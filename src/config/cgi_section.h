#pragma once
// The keys of a [program.NAME] with model = "cgi".
#include <string_view>
#include <vector>

#include "config/table_reader.h"

namespace fivefold::config {

void read_cgi(TableReader& reader, Cgi& cgi);

// What only the keys together tell: one of root and script, and the keys that go with root.
void check_cgi(const Node& table, const Program& program, Context& context);

// The names of these keys.
const std::vector<std::string_view>& cgi_keys();

}  // namespace fivefold::config
