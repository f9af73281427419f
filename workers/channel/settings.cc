#include "channel/settings.h"

#include <algorithm>

namespace fivefold::worker {

std::expected<Settings, std::string> Settings::parse(std::span<const char* const> words,
                                                     std::span<const std::string_view> known) {
  Settings settings;
  for (std::string_view word : words) {
    const std::size_t equals = word.find('=');
    if (equals == 0 || equals == std::string_view::npos) {
      return std::unexpected("A worker is given words like name=value, and \"" + std::string(word) + "\" is none.");
    }
    const std::string_view key = word.substr(0, equals);
    if (std::ranges::find(known, key) == known.end()) {
      return std::unexpected("This worker has no setting \"" + std::string(key) + "\".");
    }
    settings.words_.emplace_back(key, word.substr(equals + 1));
  }
  return settings;
}

std::string Settings::one(std::string_view key, std::string_view otherwise) const {
  for (auto word = words_.rbegin(); word != words_.rend(); ++word) {
    if (word->first == key) return word->second;
  }
  return std::string(otherwise);
}

std::vector<std::string> Settings::all(std::string_view key) const {
  std::vector<std::string> values;
  for (const auto& [name, value] : words_) {
    if (name == key) values.push_back(value);
  }
  return values;
}

bool Settings::has(std::string_view key) const {
  return std::ranges::any_of(words_, [key](const auto& word) { return word.first == key; });
}

}  // namespace fivefold::worker
