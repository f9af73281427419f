#pragma once
// The words of a worker's command line: `key=value`, each key once or several times.
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fivefold::worker {

class Settings {
 public:
  // `words` are what follows the executable's name; `known` names the keys that there are. The error is a sentence: a
  // word without '=', or a key that is not known.
  static std::expected<Settings, std::string> parse(std::span<const char* const> words,
                                                    std::span<const std::string_view> known);

  // The last value of `key`, or `otherwise`.
  std::string one(std::string_view key, std::string_view otherwise = {}) const;
  // All its values, in order.
  std::vector<std::string> all(std::string_view key) const;
  bool has(std::string_view key) const;

 private:
  std::vector<std::pair<std::string, std::string>> words_;
};

}  // namespace fivefold::worker
