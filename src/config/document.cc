#include "config/document.h"

#include <algorithm>

#include "base/text.h"

// The one place that sees toml++; syntax errors are values here.
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/impl/preprocessor.h>
// toml++ 3.3 asserts that a key begins as a key may before it looks whether it does: "[[/x]]" would abort in a debug
// build, and in a release build, where the assertion is an assumption, the check itself is optimised away. Without it
// the check says what is wrong.
#undef TOML_ASSERT_ASSUME
#define TOML_ASSERT_ASSUME(expression) static_assert(true)
#include <toml++/toml.h>

namespace fivefold::config {
namespace {

Mark mark_of(const toml::source_region& region) { return {region.begin.line, region.begin.column}; }

Node convert(const toml::node& value);

void convert_table(const toml::table& table, Node& node) {
  node.entries.reserve(table.size());
  for (auto&& [key, value] : table)
    node.entries.push_back({std::string(key.str()), mark_of(key.source()), convert(value)});
  std::ranges::sort(node.entries, {}, &Entry::at);
}

Node convert(const toml::node& value) {
  Node node;
  node.at = mark_of(value.source());
  switch (value.type()) {
    case toml::node_type::string:
      node.kind = Node::Kind::string;
      node.text = value.as_string()->get();
      break;
    case toml::node_type::integer:
      node.kind = Node::Kind::integer;
      node.integer = value.as_integer()->get();
      break;
    case toml::node_type::floating_point:
      node.kind = Node::Kind::real;
      node.real = value.as_floating_point()->get();
      break;
    case toml::node_type::boolean:
      node.kind = Node::Kind::boolean;
      node.boolean = value.as_boolean()->get();
      break;
    case toml::node_type::array:
      node.kind = Node::Kind::array;
      for (const auto& item : *value.as_array()) node.items.push_back(convert(item));
      break;
    case toml::node_type::table:
      convert_table(*value.as_table(), node);
      break;
    default:
      node.kind = Node::Kind::date;
      break;
  }
  return node;
}

// A key of very many parts would be as many tables within tables.
const char* find_deep_key(std::string_view text, Mark& at) {
  std::size_t dots = 0;
  at = {1, 1};
  for (const char c : text) {
    if (c == '\n') {
      dots = 0;
      ++at.line;
    } else if (c == '.' && ++dots > kMaxKeyParts) {
      return "a line with more than 1000 dots";
    }
  }
  return nullptr;
}

std::string in_our_words(std::string_view description) {
  constexpr std::string_view kPrefix = "Error while parsing ";
  if (description.starts_with(kPrefix)) description.remove_prefix(kPrefix.size());
  // It quotes the file, line ends included.
  return printable(description, 300);
}

}  // namespace

const Entry* Node::find(std::string_view key) const {
  for (const auto& entry : entries)
    if (entry.key == key) return &entry;
  return nullptr;
}

std::string_view kind_text(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::string:
      return "a string";
    case Node::Kind::integer:
      return "a whole number";
    case Node::Kind::real:
      return "a number with a fraction";
    case Node::Kind::boolean:
      return "true or false";
    case Node::Kind::date:
      return "a date or time";
    case Node::Kind::array:
      return "an array";
    case Node::Kind::table:
      break;
  }
  return "a table";
}

std::expected<Node, SyntaxError> read_document(std::string_view text) {
  if (text.size() > kMaxDocumentSize) return std::unexpected(SyntaxError{{1, 1}, "the file is larger than 4 MB"});
  Mark at;
  if (const char* deep = find_deep_key(text, at)) return std::unexpected(SyntaxError{at, deep});
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    const auto& error = parsed.error();
    return std::unexpected(SyntaxError{mark_of(error.source()), in_our_words(error.description())});
  }
  Node root;
  root.at = {1, 1};
  convert_table(parsed.table(), root);
  return root;
}

}  // namespace fivefold::config
