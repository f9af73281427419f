#include "script_source.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <iterator>

namespace fivefold::perl {

namespace {

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::string_view without_end(std::string_view line) {
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::string_view without_indent(std::string_view line) {
  while (line.starts_with(' ') || line.starts_with('\t')) line.remove_prefix(1);
  return line;
}

// The word after -C: letters, or the sum of their numbers.
void take_unicode(std::string_view word, ScriptSource& source) {
  int number = 0;
  std::from_chars(word.data(), word.data() + word.size(), number);
  if (word.empty()) number = 7;
  for (std::size_t i = 0; i < std::size(source.unicode); ++i)
    source.unicode[i] = (number & (1 << i)) != 0 || word.find("IOE"[i]) != word.npos || word.find('S') != word.npos;
}

void take_switches(std::string_view line, ScriptSource& source) {
  const std::size_t perl = line.find("perl");
  if (!line.starts_with("#!") || perl == std::string_view::npos) return;
  line.remove_prefix(perl);
  for (std::size_t at = line.find(" -"); at != std::string_view::npos; at = line.find(" -", at + 1)) {
    const std::string_view word = line.substr(at + 2, line.find(' ', at + 2) - at - 2);
    if (word.starts_with('C')) {
      take_unicode(word.substr(1), source);
      continue;
    }
    for (char letter : word) {
      if (letter == 'l') source.newlines = true;
      if (letter == 'w' || letter == 'W') source.warnings = true;
      if (letter == 'T' || letter == 't') source.taint = true;
      if (!std::isalpha(static_cast<unsigned char>(letter))) break;
    }
  }
}

// Those belong to every package.
bool is_global(std::string_view text) {
  std::size_t size = 0;
  while (size < text.size() && is_word(text[size])) ++size;
  static constexpr std::string_view kGlobals[] = {"STDIN", "STDOUT", "STDERR", "ARGV", "ARGVOUT", "ENV", "INC", "SIG"};
  return std::ranges::find(kGlobals, text.substr(0, size)) != std::end(kGlobals);
}

// "main::x", "$::x", "&::f"
bool names_main(std::string_view line) {
  for (std::size_t at = line.find("::"); at != std::string_view::npos; at = line.find("::", at + 2)) {
    if (at + 2 >= line.size() || !is_word(line[at + 2]) || is_global(line.substr(at + 2))) continue;
    if (at > 0 && std::string_view("$@%&*").find(line[at - 1]) != std::string_view::npos) return true;
    if (at >= 4 && line.substr(at - 4, 4) == "main" && (at == 4 || (!is_word(line[at - 5]) && line[at - 5] != ':')))
      return true;
  }
  return false;
}

// Where "main" stands in a line that begins with "package main"; npos in others.
std::size_t main_of_package(std::string_view line) {
  const std::string_view words = without_indent(line);
  if (!words.starts_with("package")) return std::string_view::npos;
  const std::string_view name = without_indent(words.substr(7));
  if (name.size() == words.size() - 7 || !name.starts_with("main")) return std::string_view::npos;
  if (name.size() > 4 && (is_word(name[4]) || name[4] == ':')) return std::string_view::npos;
  return line.size() - name.size();
}

}  // namespace

ScriptSource read_script(std::string_view text, std::string_view package) {
  ScriptSource source;
  source.code.reserve(text.size() + 64);
  bool first = true;
  bool in_pod = false;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view whole = text.substr(0, end == std::string_view::npos ? end : end + 1);
    const std::string_view line = without_end(whole);
    text.remove_prefix(whole.size());
    if (first) take_switches(line, source);
    first = false;
    const bool directive = line.size() > 1 && line[0] == '=' && std::isalpha(static_cast<unsigned char>(line[1])) != 0;
    if (directive) in_pod = !line.starts_with("=cut");
    if (!in_pod && !directive) {
      if (line == "__END__" || line == "__DATA__") {
        source.data = text;
        break;
      }
      const std::string_view words = without_indent(line);
      if (words.starts_with("use utf8")) source.utf8 = true;
      if (!words.starts_with('#') && names_main(line)) source.names_main = true;
      if (const std::size_t at = main_of_package(line); at != std::string_view::npos) {
        source.code.append(whole.substr(0, at)).append(package).append(whole.substr(at + 4));
        continue;
      }
    }
    source.code.append(whole);
  }
  if (in_pod) source.code.append("\n\n=cut\n");
  return source;
}

std::string package_of(std::string_view path, unsigned number) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string name = "Fivefold::Script::n" + std::to_string(number) + "_";
  for (char c : path) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      name += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      (name += '_') += kDigits[byte >> 4];
      name += kDigits[byte & 15];
    }
  }
  return name;
}

std::string wrap_script(const ScriptSource& source, std::string_view package, std::string_view path) {
  std::string text = "package ";
  text.append(package).append("; sub ").append(kRun).append(" {\n#line 1 \"").append(path).append("\"\n");
  return text.append(source.code).append("\n}\n1;\n");
}

}  // namespace fivefold::perl
