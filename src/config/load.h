#pragma once
// From TOML text to a Config, with every fault found in one pass.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace fivefold::config {

struct Fault {
  enum class Severity : std::uint8_t { error, warning } severity = Severity::error;
  Position position;
  std::string message;  // what is wrong, about what
  std::string mend;     // what to do; may be empty
};

// "fivefold.toml:12:3: error: unknown key 'lisen' in [server]; did you mean 'listen'?"
std::string to_string(const Fault& fault);

struct Loaded {
  std::optional<Config> config;  // nothing when there is an error among the faults
  std::vector<Fault> faults;     // errors and warnings in the order of the file
  // What could be understood of a faulty one: enough to look at the machine for it as well, not to serve by.
  std::optional<Config> partial;
};

// Reads the text alone: syntax, keys, types, values, references between routes and programs, routes that can never
// match. `file` is for positions; relative paths are taken from `directory`. Touches nothing in the world.
Loaded parse(std::string_view text, std::string file, std::string directory);

// Faults that only the machine can tell: missing folders and program files, execute bits and interpreters, unwritable
// logs, users that do not exist, a port below 1024 or a user switch without the privilege.
std::vector<Fault> inspect(const Config& config);

// The same for what parse() gave, so that every fault is told at once: of a faulty configuration, what concerns lines
// without a fault.
std::vector<Fault> inspect(const Loaded& loaded);

// Reads the file and does both. A file that cannot be read is one fault.
Loaded load(const std::string& path);

}  // namespace fivefold::config
