#pragma once
// The keys of a [program.NAME] with model = "app".
#include <string_view>
#include <vector>

#include "config/server_section.h"
#include "config/table_reader.h"

namespace fivefold::config {

// `working_directory` is that of the program, empty when it was not said. `describe`, if any, gets the keys of the
// tables in this one.
void read_app(TableReader& reader, const std::string& working_directory, App& app,
              std::vector<SectionKeys>* describe = nullptr);

// What only the keys together tell: one of command, servlet and address, the keys that go with another of them or with
// another protocol, and what somebody else's process cannot be given.
void check_app(const Node& table, const Program& program, Context& context);

// The names of these keys.
const std::vector<std::string_view>& app_keys();

// Whether a variable of this name tells an application what the server chose for it: its port, its sockets.
bool is_given_variable(std::string_view name);

}  // namespace fivefold::config
