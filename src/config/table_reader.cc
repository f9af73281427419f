#include "config/table_reader.h"

#include <algorithm>

#include "base/text.h"

namespace fivefold::config {
namespace {

constexpr std::string_view kNone = "–";

std::string shown(std::string_view text) { return text.empty() ? std::string(kNone) : "\"" + std::string(text) + "\""; }

std::string shown(const std::vector<std::string>& texts) {
  if (texts.empty()) return std::string(kNone);
  std::string list = "[";
  for (const auto& text : texts) list += (list.size() > 1 ? ", \"" : "\"") + text + "\"";
  return list + "]";
}

std::string shown_size(std::uint64_t bytes) {
  const auto text = format_size(bytes);
  return is_digit(text.back()) ? text : "\"" + text + "\"";
}

// A scalar as it would be written in a string, for "write user = "33"".
std::string as_text(const Node& value) {
  if (value.is(Node::Kind::integer)) return std::to_string(value.integer);
  if (value.is(Node::Kind::boolean)) return value.boolean ? "true" : "false";
  return {};
}

}  // namespace

TableReader::TableReader(const Node& table, std::string title, std::string path, Context& context)
    : table_(table), title_(std::move(title)), path_(std::move(path)), context_(context) {}

std::string TableReader::name(std::string_view key) const { return "'" + printable(key) + "' in " + title_; }

const Entry* TableReader::take(std::string_view key, std::string_view type, std::string_view fallback) {
  keys_.push_back({std::string(key), std::string(type), std::string(fallback)});
  const Entry* entry = table_.find(key);
  if (entry && !path_.empty())
    context_.positions[path_ + "." + std::string(key)] = context_.faults.position(entry->value.at);
  return entry;
}

const Entry* TableReader::take_table(std::string_view key, std::string_view type, std::string_view fallback) {
  const Entry* entry = take(key, type, fallback);
  if (!entry || entry->value.is(Node::Kind::table)) return entry;
  wrong_kind(key, entry->value, "a table");
  return nullptr;
}

void TableReader::wrong_kind(std::string_view key, const Node& value, std::string_view wanted, std::string mend) {
  if (mend.empty() && wanted.starts_with("a string") && !as_text(value).empty())
    mend = "write " + std::string(key) + " = \"" + as_text(value) + "\"";
  context_.faults.error(
      value.at, name(key) + " must be " + std::string(wanted) + ", but is " + std::string(kind_text(value.kind)),
      std::move(mend));
}

void TableReader::boolean(std::string_view key, bool& value) {
  const Entry* entry = take(key, "boolean", value ? "true" : "false");
  if (!entry) return;
  if (entry->value.is(Node::Kind::boolean)) {
    value = entry->value.boolean;
    return;
  }
  const auto& text = entry->value.text;
  const bool meant = text == "true" || text == "false";
  wrong_kind(key, entry->value, "true or false", meant ? "leave out the quotation marks" : "");
}

bool TableReader::check_text(std::string_view key, const Node& value, TextCheck check) {
  if (!check) return true;
  auto complaint = check(value.text);
  if (complaint.message.empty()) return true;
  context_.faults.error(value.at, name(key) + " is " + quoted(value.text) + ": " + complaint.message,
                        std::move(complaint.mend));
  return false;
}

void TableReader::text(std::string_view key, std::string& value, TextCheck check) {
  const Entry* entry = take(key, "string", shown(value));
  if (!entry) return;
  if (!entry->value.is(Node::Kind::string)) return wrong_kind(key, entry->value, "a string");
  if (check_text(key, entry->value, check)) value = entry->value.text;
}

void TableReader::path(std::string_view key, std::string& value, std::initializer_list<std::string_view> words) {
  const Entry* entry = take(key, "path", shown(value));
  if (!entry) return;
  if (!entry->value.is(Node::Kind::string)) return wrong_kind(key, entry->value, "a string");
  if (std::ranges::find(words, std::string_view(entry->value.text)) != words.end()) {
    value = entry->value.text;
  } else if (check_text(key, entry->value, check_path)) {
    value = absolute_path(entry->value.text, context_.directory);
  }
}

void TableReader::texts(std::string_view key, std::vector<std::string>& value, TextCheck check) {
  const Entry* entry = take(key, "string or array of strings", shown(value));
  if (!entry) return;
  if (entry->value.is(Node::Kind::string)) {
    if (check_text(key, entry->value, check)) value = {entry->value.text};
    return;
  }
  if (!entry->value.is(Node::Kind::array)) return wrong_kind(key, entry->value, "a string or an array of strings");
  value.clear();
  for (const auto& item : entry->value.items) {
    if (!item.is(Node::Kind::string))
      context_.faults.error(item.at,
                            name(key) + " must have strings only, but has " + std::string(kind_text(item.kind)));
    else if (check_text(key, item, check))
      value.push_back(item.text);
  }
}

std::uint64_t TableReader::number_value(std::string_view key, std::uint64_t fallback, Range range) {
  const Entry* entry = take(key, "integer", std::to_string(fallback));
  if (!entry) return fallback;
  const Node& value = entry->value;
  if (!value.is(Node::Kind::integer)) {
    const bool digits = value.is(Node::Kind::string) && parse_decimal(value.text);
    wrong_kind(key, value, "a whole number", digits ? "leave out the quotation marks" : "");
    return fallback;
  }
  if (value.integer < 0 || static_cast<std::uint64_t>(value.integer) < range.least ||
      static_cast<std::uint64_t>(value.integer) > range.most) {
    context_.faults.error(value.at, name(key) + " is " + std::to_string(value.integer) + ", but must lie between " +
                                        std::to_string(range.least) + " and " + std::to_string(range.most));
    return fallback;
  }
  return static_cast<std::uint64_t>(value.integer);
}

std::uint64_t TableReader::size_value(std::string_view key, std::uint64_t fallback, Range range) {
  const Entry* entry = take(key, "size", shown_size(fallback));
  if (!entry) return fallback;
  const Node& value = entry->value;
  std::optional<std::uint64_t> bytes;
  std::string written;
  if (value.is(Node::Kind::integer)) {
    written = std::to_string(value.integer);
    if (value.integer >= 0) bytes = static_cast<std::uint64_t>(value.integer);
  } else if (value.is(Node::Kind::string)) {
    written = quoted(value.text);
    bytes = parse_size(value.text);
  } else {
    wrong_kind(key, value, "a size", "write a number of bytes, or a string such as \"64KB\", \"1MB\" or \"1GB\"");
    return fallback;
  }
  if (!bytes) {
    context_.faults.error(value.at, name(key) + " is " + written + ", which is not a size",
                          "write a number of bytes, or a string such as \"64KB\", \"1MB\" or \"1GB\"");
    return fallback;
  }
  if (*bytes < range.least || *bytes > range.most) {
    context_.faults.error(value.at, name(key) + " is " + written + ", but must lie between " +
                                        format_size(range.least) + " and " + format_size(range.most));
    return fallback;
  }
  return *bytes;
}

void TableReader::duration(std::string_view key, milliseconds& value, milliseconds least) {
  const Entry* entry = take(key, "duration", "\"" + format_duration(value) + "\"");
  if (!entry) return;
  const Node& node = entry->value;
  if (node.is(Node::Kind::integer) && node.integer >= 0) {
    const auto number = std::to_string(node.integer);
    return wrong_kind(key, node, "a duration with its unit",
                      "write " + std::string(key) + " = \"" + number + "s\" or \"" + number + "ms\"");
  }
  const std::string mend = "write a string such as \"500ms\", \"30s\", \"5m\" or \"1h\"";
  if (!node.is(Node::Kind::string)) return wrong_kind(key, node, "a duration", mend);
  const auto parsed = parse_duration(node.text);
  if (!parsed) {
    context_.faults.error(
        node.at, name(key) + " is " + quoted(node.text) + ", which is not a duration of at most 30 days", mend);
  } else if (*parsed < least) {
    context_.faults.error(node.at, name(key) + " is " + quoted(node.text) + ", but must be longer than nothing", mend);
  } else {
    value = *parsed;
  }
}

std::size_t TableReader::choice_value(std::string_view key, const std::vector<std::string_view>& names,
                                      std::size_t fallback) {
  std::string type;
  std::vector<std::string> in_marks;
  for (const auto name : names) in_marks.push_back("\"" + std::string(name) + "\"");
  const std::string list = any_of({in_marks.begin(), in_marks.end()});
  const Entry* entry = take(key, list, in_marks[fallback]);
  if (!entry) return fallback;
  if (!entry->value.is(Node::Kind::string)) {
    wrong_kind(key, entry->value, "a string", "write " + list);
    return fallback;
  }
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == entry->value.text) return i;
  const auto meant = nearest(entry->value.text, names);
  context_.faults.error(entry->value.at, name(key) + " is " + quoted(entry->value.text) + ", but must be " + list,
                        meant.empty() ? "" : "did you mean \"" + std::string(meant) + "\"?");
  return fallback;
}

void TableReader::finish(const std::vector<std::pair<std::string_view, std::string>>& elsewhere) {
  std::vector<std::string_view> known;
  for (const auto& key : keys_) known.push_back(key.key);
  for (const auto& entry : table_.entries) {
    if (std::ranges::find(known, std::string_view(entry.key)) != known.end()) continue;
    const auto other =
        std::ranges::find(elsewhere, std::string_view(entry.key), &std::pair<std::string_view, std::string>::first);
    std::string mend;
    if (other != elsewhere.end()) {
      mend = other->second;
    } else if (const auto meant = nearest(entry.key, known); !meant.empty()) {
      mend = "did you mean '" + std::string(meant) + "'?";
    } else if (known.size() <= 12) {
      mend = "it knows " + any_of(known);
    } else {
      mend = "docs/configuration.md lists the keys";
    }
    context_.faults.error(entry.at, "unknown key '" + printable(entry.key) + "' in " + title_, std::move(mend));
  }
}

std::string absolute_path(std::string_view path, const std::string& directory) {
  while (path.starts_with("./")) {
    path.remove_prefix(2);
    while (path.starts_with('/')) path.remove_prefix(1);
  }
  std::string result;
  if (path.starts_with('/')) {
    result = path;
  } else {
    result = directory;
    if (path != "." && !path.empty()) {
      if (!result.ends_with('/')) result += '/';
      result += path;
    }
  }
  while (result.size() > 1 && result.ends_with('/')) result.pop_back();
  return result;
}

Complaint check_path(std::string_view path) {
  constexpr std::size_t kLongestPath = 4095;  // PATH_MAX without its NUL
  if (path.empty()) return {"a path is missing", "leave the key out if none is meant"};
  if (path.starts_with("~")) return {"~ means nothing here", "write the whole path"};
  if (path.size() > kLongestPath) return {"longer than a path can be"};
  return {};
}

}  // namespace fivefold::config
