#pragma once
// What the tests of parse() share.
#include <string>

#include "config/load.h"

namespace fivefold::config {

// A file that is right but for what a case adds.
inline constexpr const char* kRoute = "[[route]]\npath = \"/*\"\nfiles = \"www\"\n";

// Every fault as the operator reads it, a line each.
inline std::string told(const Loaded& loaded) {
  std::string text;
  for (const auto& fault : loaded.faults) text += to_string(fault) + "\n";
  return text;
}

}  // namespace fivefold::config
