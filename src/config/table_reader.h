#pragma once
// One table of the configuration, read key by key. Each call names a key, says what it must be, and leaves the default
// where the key is absent or faulty; finish() then finds the keys that nobody asked for. The calls themselves are the
// schema: keys() is what the documentation is compared with.
#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/config.h"
#include "config/document.h"
#include "config/faults.h"
#include "config/quantity.h"

namespace fivefold::config {

// What every section needs. Outlives its readers.
struct Context {
  Faults& faults;
  std::string directory;                       // relative paths are taken from it
  std::map<std::string, Position>& positions;  // Config::positions
};

struct KeyDescription {
  std::string key;
  std::string type;      // "string", "duration", ...
  std::string fallback;  // the default as one would write it; "–" for none
};

// What is wrong with a text, to follow "'key' in [section] is "text": ", and the mend. An empty message: nothing.
struct Complaint {
  std::string message = {};
  std::string mend = {};
};
using TextCheck = Complaint (*)(std::string_view text);

struct Range {
  std::uint64_t least = 0;
  std::uint64_t most = kMaxSize;
};
inline constexpr std::chrono::milliseconds kNoTime{0};
inline constexpr std::chrono::milliseconds kSomeTime{1};

template <class E>
using Choices = std::initializer_list<std::pair<std::string_view, E>>;

class TableReader {
 public:
  // `table` outlives the reader; `title` is what messages call it ("[server.limits]"), `path` where positions are kept
  // ("server.limits").
  TableReader(const Node& table, std::string title, std::string path, Context& context);

  // The entry of `key`, now known; null when there is none. For values the typed calls below do not cover.
  const Entry* take(std::string_view key, std::string_view type, std::string_view fallback = "–");
  // The sub-table of `key`; null when there is none or it is no table, which is a fault.
  const Entry* take_table(std::string_view key, std::string_view type, std::string_view fallback = "–");

  void boolean(std::string_view key, bool& value);
  void text(std::string_view key, std::string& value, TextCheck check = nullptr);
  // Made absolute, unless it is one of `words`.
  void path(std::string_view key, std::string& value, std::initializer_list<std::string_view> words = {});
  // An array of strings, or one string.
  void texts(std::string_view key, std::vector<std::string>& value, TextCheck check = nullptr);

  template <class T>
  void number(std::string_view key, T& value, Range range) {
    value = static_cast<T>(number_value(key, static_cast<std::uint64_t>(value), range));
  }
  // Bytes: a whole number or "128MB".
  template <class T>
  void size(std::string_view key, T& value, Range range = {}) {
    value = static_cast<T>(size_value(key, static_cast<std::uint64_t>(value), range));
  }
  void duration(std::string_view key, milliseconds& value, milliseconds least = kSomeTime);

  template <class E>
  void choice(std::string_view key, E& value, Choices<E> choices) {
    std::vector<std::string_view> names;
    std::size_t chosen = 0;
    for (const auto& [name, meaning] : choices) {
      if (meaning == value) chosen = names.size();
      names.push_back(name);
    }
    value = (choices.begin() + choice_value(key, names, chosen))->second;
  }

  // The key read last must be given, or stands for nothing when it is not: the documentation shows no default.
  void has_no_default() { keys_.back().fallback = "–"; }

  // Reports every key that was not asked for. `elsewhere` are keys that another place knows, with what to say.
  void finish(const std::vector<std::pair<std::string_view, std::string>>& elsewhere = {});

  const Node& table() const { return table_; }
  const std::string& title() const { return title_; }
  const std::string& table_path() const { return path_; }
  const std::vector<KeyDescription>& keys() const { return keys_; }
  Context& context() { return context_; }

  // "'threads' in [server]"
  std::string name(std::string_view key) const;
  // The value at `key` is not what it must be.
  void wrong_kind(std::string_view key, const Node& value, std::string_view wanted, std::string mend = {});

 private:
  std::uint64_t number_value(std::string_view key, std::uint64_t fallback, Range range);
  std::uint64_t size_value(std::string_view key, std::uint64_t fallback, Range range);
  std::size_t choice_value(std::string_view key, const std::vector<std::string_view>& names, std::size_t fallback);
  bool check_text(std::string_view key, const Node& value, TextCheck check);

  const Node& table_;
  std::string title_;
  std::string path_;
  Context& context_;
  std::vector<KeyDescription> keys_;
};

// `path` taken from `directory`, without "./" before and slashes after it.
std::string absolute_path(std::string_view path, const std::string& directory);

// What is wrong with a path.
Complaint check_path(std::string_view path);

}  // namespace fivefold::config
