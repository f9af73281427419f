#include "config/app_command.h"

#include <algorithm>
#include <array>

namespace fivefold::config {
namespace {

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// One "{name}" of a word: `begin` is where its brace opens, `end` is behind the one that closes it.
struct Place {
  std::size_t begin;
  std::size_t end;
  std::string_view name;
};

// The first at or after `from`; `begin` is npos when there is none.
Place next_place(std::string_view word, std::size_t from) {
  for (auto open = word.find('{', from); open != std::string_view::npos; open = word.find('{', open + 1)) {
    if (open > 0 && word[open - 1] == '$') continue;
    const auto close = word.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", open + 1);
    if (close == std::string_view::npos || word[close] != '}' || close == open + 1) continue;
    return {open, close + 1, word.substr(open + 1, close - open - 1)};
  }
  return {std::string_view::npos, std::string_view::npos, {}};
}

const std::string* value_of(std::string_view name, const Placeholders& values) {
  if (name == "socket") return &values.socket;
  if (name == "port") return &values.port;
  if (name == "host") return &values.host;
  if (name == "root") return &values.root;
  return nullptr;
}

bool is_assignment(std::string_view word) {
  const auto equals = word.find('=');
  return equals != std::string_view::npos && equals > 0 && word.find('/') > equals;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  constexpr std::string_view kSpace = " \t\n";
  for (std::size_t begin = text.find_first_not_of(kSpace); begin != std::string_view::npos;) {
    const auto end = std::min(text.find_first_of(kSpace, begin), text.size());
    words.emplace_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(kSpace, end);
  }
  return words;
}

}  // namespace

std::string fill_placeholders(std::string_view word, const Placeholders& values) {
  std::string result;
  std::size_t done = 0;
  for (auto place = next_place(word, 0); place.begin != std::string_view::npos; place = next_place(word, place.end)) {
    const auto* value = value_of(place.name, values);
    if (!value) continue;
    result += word.substr(done, place.begin - done);
    result += *value;
    done = place.end;
  }
  return result += word.substr(done);
}

bool has_placeholder(std::string_view word, std::string_view name) {
  for (auto place = next_place(word, 0); place.begin != std::string_view::npos; place = next_place(word, place.end))
    if (place.name == name) return true;
  return false;
}

std::vector<std::string_view> unknown_placeholders(std::string_view word) {
  static const Placeholders kNothing;
  std::vector<std::string_view> names;
  for (auto place = next_place(word, 0); place.begin != std::string_view::npos; place = next_place(word, place.end))
    if (!value_of(place.name, kNothing)) names.push_back(place.name);
  return names;
}

bool is_shell_command(const std::vector<std::string>& command) {
  constexpr std::array<std::string_view, 4> kShells = {"sh", "bash", "dash", "zsh"};
  return command.size() >= 3 && std::ranges::find(kShells, base_name(command[0])) != kShells.end() &&
         command[1].starts_with('-') && command[1].ends_with('c');
}

bool starts_node(const std::vector<std::string>& command) {
  constexpr std::array<std::string_view, 15> kNode = {"node", "nodejs", "npm",      "npx",     "pnpm",
                                                      "pnpx", "yarn",   "corepack", "next",    "nuxt",
                                                      "nest", "tsx",    "ts-node",  "nodemon", "vite"};
  if (is_shell_command(command)) return starts_node(words_of(command[2]));
  for (const auto& word : command) {
    if (base_name(word) == "env" || word == "exec" || is_assignment(word)) continue;
    return std::ranges::find(kNode, base_name(word)) != kNode.end();
  }
  return false;
}

}  // namespace fivefold::config
