#pragma once
// One [program.NAME].
#include "config/server_section.h"
#include "config/table_reader.h"

namespace fivefold::config {

inline constexpr std::size_t kLongestProgramName = 64;

// Whether NAME can be a program's: it becomes the name of a log file and a label of metrics.
bool is_program_name(std::string_view name);

// Whether a variable of this name is the server's to set: nobody else may (CVE-2025-65082).
bool is_computed_variable(std::string_view name);

// `at` is where the program is named. `describe`, if any, gets the keys of the table and of those in it.
Program read_program(const Node& table, const std::string& name, Mark at, Context& context,
                     std::vector<SectionKeys>* describe = nullptr);

}  // namespace fivefold::config
