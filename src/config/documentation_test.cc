// docs/configuration.md has every key with its type and default as the readers declare them, and its examples are
// right.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "base/text.h"
#include "config/load.h"
#include "config/schema.h"

namespace fivefold::config {
namespace {

std::vector<std::string> documentation() {
  std::ifstream file("../../docs/configuration.md");
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

std::string without_marks(std::string_view cell) {
  std::string text(trim(cell));
  if (text.size() >= 2 && text.front() == '`' && text.back() == '`') text = text.substr(1, text.size() - 2);
  return text;
}

// The first three cells of "| `key` | type | default | meaning |".
std::vector<std::string> cells(const std::string& line) {
  std::vector<std::string> result;
  std::istringstream stream(line.substr(1));
  for (std::string cell; result.size() < 3 && std::getline(stream, cell, '|');) result.push_back(without_marks(cell));
  return result;
}

using Rows = std::vector<std::string>;

std::map<std::string, Rows> documented() {
  std::map<std::string, Rows> sections;
  std::string section;
  for (const auto& line : documentation()) {
    if (line.starts_with("#")) section = without_marks(line.substr(line.find_first_not_of('#')));
    if (!line.starts_with("| `")) continue;
    const auto row = cells(line);
    if (row.size() == 3) sections[section].push_back(row[0] + " | " + row[1] + " | " + row[2]);
  }
  return sections;
}

TEST(Documentation, HasEveryKeyWithItsTypeAndDefault) {
  ASSERT_FALSE(documentation().empty()) << "docs/configuration.md cannot be read from src/config";
  const auto sections = documented();
  for (const auto& section : schema()) {
    Rows declared;
    for (const auto& key : section.keys) declared.push_back(key.key + " | " + key.type + " | " + key.fallback);
    const auto found = sections.find(section.title);
    ASSERT_NE(found, sections.end()) << "no heading `" << section.title << "`";
    EXPECT_EQ(found->second, declared) << section.title;
  }
}

TEST(Documentation, ItsExamplesAreRight) {
  const auto lines = documentation();
  std::size_t examples = 0;
  for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
    if (lines[i] != "<!-- check -->") continue;
    ASSERT_EQ(lines[i + 1], "```toml") << "line " << i + 2;
    std::string text;
    for (std::size_t k = i + 2; k < lines.size() && lines[k] != "```"; ++k) text += lines[k] + "\n";
    for (const auto& fault : parse(text, "example", "/etc/fivefold").faults)
      ADD_FAILURE() << "the example in line " << i + 2 << ": " << to_string(fault);
    ++examples;
  }
  EXPECT_GE(examples, 4u);
}

TEST(Documentation, ShippedConfigurationsAreRight) {
  for (const auto* path :
       {"../../examples/files/fivefold.toml", "../../examples/cgi/fivefold.toml", "../../packaging/fivefold.toml"}) {
    std::ifstream file(path);
    ASSERT_TRUE(file) << path;
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    for (const auto& fault : parse(text, path, "/etc/fivefold").faults) ADD_FAILURE() << to_string(fault);
  }
}

}  // namespace
}  // namespace fivefold::config
