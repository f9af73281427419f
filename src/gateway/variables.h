#pragma once
// The strings of an environment taken apart again, for protocols that send names and values on their own.
#include <string_view>

#include "process/spawn_plan.h"

namespace fivefold::gateway {

// Calls each(name, value) for every "NAME=value", in order. A string without '=' is a name with an empty value.
template <class Each>
void for_each_variable(const process::StringBlock& environment, Each each) {
  std::string_view rest = environment.bytes();
  while (!rest.empty()) {
    const auto end = rest.find('\0');
    const auto text = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    const auto equals = text.find('=');
    if (equals == std::string_view::npos)
      each(text, std::string_view());
    else
      each(text.substr(0, equals), text.substr(equals + 1));
  }
}

}  // namespace fivefold::gateway
