#pragma once
// Times in the sentences of errors.
#include <chrono>
#include <string>

namespace fivefold::upstream {

// "60 seconds", "1 second", "0.25 seconds".
inline std::string in_seconds(std::chrono::milliseconds time) {
  std::string text = std::to_string(static_cast<double>(time.count()) / 1000);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text + (text == "1" ? " second" : " seconds");
}

}  // namespace fivefold::upstream
