#pragma once
// The text of a configuration as a tree of values that know where they stand: what is left of TOML for the rest of this
// room.
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace fivefold::config {

// Line and column, both from 1; a column counts characters, not bytes.
struct Mark {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  friend auto operator<=>(const Mark&, const Mark&) = default;
};

struct Entry;

// One value. Which members are filled is the kind's to say.
struct Node {
  enum class Kind : std::uint8_t { string, integer, real, boolean, date, array, table };
  Kind kind = Kind::table;
  Mark at;
  std::string text;  // string: its bytes
  std::int64_t integer = 0;
  double real = 0;
  bool boolean = false;
  std::vector<Node> items;     // array
  std::vector<Entry> entries;  // table: in the order of the file; no key occurs twice

  const Entry* find(std::string_view key) const;
  bool is(Kind wanted) const { return kind == wanted; }
};

struct Entry {
  std::string key;
  Mark at;  // of the key
  Node value;
};

// "a string", "a whole number", ... for messages.
std::string_view kind_text(Node::Kind kind);

// Why a text is no TOML. The parser stops at the first such place.
struct SyntaxError {
  Mark at;
  std::string message;
};

inline constexpr std::size_t kMaxDocumentSize = 4 * 1024 * 1024;
inline constexpr std::size_t kMaxKeyParts = 1000;  // dots on one line: each may be a table within a table

// The root table of `text`, or the first syntax error.
std::expected<Node, SyntaxError> read_document(std::string_view text);

}  // namespace fivefold::config
