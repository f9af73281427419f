#pragma once
// What several sections ask of the names of files.
#include <string_view>

#include "base/text.h"
#include "config/table_reader.h"

namespace fivefold::config {

// The name of a file that stands for its folder.
inline Complaint check_index(std::string_view name) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string_view::npos)
    return {"an index is the name of a file, without /"};
  return {};
}

// What the name of a script ends with, where those are PHP's by default.
inline Complaint check_extension(std::string_view text) {
  if (text.find_first_of("/*") != std::string_view::npos) return {"not an extension", "write \".php\""};
  if (!text.starts_with('.') || text.size() < 2)
    return {"an extension begins with a dot", "write \"." + printable(text) + "\""};
  return {};
}

}  // namespace fivefold::config
