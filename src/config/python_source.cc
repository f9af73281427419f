#include "config/python_source.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace fivefold::config {
namespace {

bool is_name(char c) { return c == '_' || is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z'); }

std::string_view leading_name(std::string_view text) {
  return text.substr(0, static_cast<std::size_t>(std::ranges::find_if_not(text, is_name) - text.begin()));
}

template <class Visit>
void each_line(std::string_view source, Visit visit) {
  while (!source.empty()) {
    auto line = source.substr(0, source.find('\n'));
    source.remove_prefix(std::min(line.size() + 1, source.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!visit(line)) return;
  }
}

struct Assignment {
  std::string_view name;
  std::string_view value;
};

// "app = Flask(__name__)", "app: Flask = ..."; nothing for what is indented or no assignment.
std::optional<Assignment> assignment(std::string_view line) {
  const auto name = leading_name(line);
  if (name.empty() || is_digit(name.front())) return std::nullopt;
  auto rest = trim(line.substr(name.size()));
  if (rest.starts_with(':')) rest = rest.substr(std::min(rest.find('='), rest.size()));
  if (!rest.starts_with('=') || rest.starts_with("==")) return std::nullopt;
  return Assignment{name, trim(rest.substr(1))};
}

// "Flask" of "flask.Flask(__name__)".
std::string_view called(std::string_view value) {
  auto name = leading_name(value);
  while (value.size() > name.size() && value[name.size()] == '.') {
    value.remove_prefix(name.size() + 1);
    name = leading_name(value);
  }
  return value.size() > name.size() && value[name.size()] == '(' ? name : std::string_view();
}

std::optional<bool> is_asynchronous(std::string_view framework) {
  constexpr std::array<std::string_view, 4> kWsgi = {"Flask", "Bottle", "APIFlask", "get_wsgi_application"};
  constexpr std::array<std::string_view, 6> kAsgi = {"FastAPI",  "Starlette", "Quart",
                                                     "Litestar", "Sanic",     "get_asgi_application"};
  if (std::ranges::find(kWsgi, framework) != kWsgi.end()) return false;
  if (std::ranges::find(kAsgi, framework) != kAsgi.end()) return true;
  return std::nullopt;
}

bool imports(std::string_view line, std::string_view name) {
  const auto import = line.find(" import ");
  if (!line.starts_with("from ") || import == std::string_view::npos) return false;
  auto names = line.substr(import + 8);
  for (auto at = names.find(name); at != std::string_view::npos; at = names.find(name, at + 1)) {
    const bool begins = at == 0 || !is_name(names[at - 1]);
    const auto behind = names.substr(at + name.size());
    const bool ends = behind.empty() || !is_name(behind.front());
    if (begins && ends && !trim(behind).starts_with("as ")) return true;
  }
  return false;
}

}  // namespace

std::optional<PythonApplication> python_application(std::string_view source) {
  std::optional<PythonApplication> made;
  std::optional<bool> framework;  // imported at all, for a factory
  bool factory = false;
  each_line(source, [&](std::string_view line) {
    if (const auto assigned = assignment(line)) {
      if (const auto asynchronous = is_asynchronous(called(assigned->value))) {
        made = PythonApplication{.object = std::string(assigned->name), .asynchronous = *asynchronous};
        return false;
      }
    }
    for (const std::string_view name : {"Flask", "APIFlask", "FastAPI", "Starlette", "Quart", "Litestar"})
      if (imports(line, name)) framework = is_asynchronous(name);
    if (line.starts_with("def create_app(")) factory = true;
    return true;
  });
  if (made) return made;
  if (factory && framework)
    return PythonApplication{.object = "create_app", .asynchronous = *framework, .factory = true};
  return std::nullopt;
}

std::string python_callable(std::string_view source) {
  constexpr std::array<std::string_view, 4> kNames = {"application", "app", "api", "server"};
  std::size_t best = kNames.size();
  each_line(source, [&](std::string_view line) {
    for (std::size_t i = 0; i < best; ++i) {
      const auto name = kNames[i];
      const auto assigned = assignment(line);
      auto defined = line;
      for (const std::string_view word : {"async ", "def ", "class "})
        if (defined.starts_with(word)) defined.remove_prefix(word.size());
      const bool defines = defined.size() != line.size() && leading_name(defined) == name;
      const bool aliases = line.starts_with("from ") && line.ends_with(" as " + std::string(name));
      if ((assigned && assigned->name == name) || defines || aliases || imports(line, name)) best = i;
    }
    return best != 0;
  });
  if (best < kNames.size()) return std::string(kNames[best]);
  const auto made = python_application(source);
  return made && !made->factory ? made->object : "application";
}

std::string django_settings(std::string_view source) {
  const auto variable = source.find("DJANGO_SETTINGS_MODULE");
  if (variable == std::string_view::npos) return {};
  auto rest = source.substr(variable + 22);
  if (!rest.empty()) rest.remove_prefix(1);  // the mark that closes the variable's name
  rest = rest.substr(0, rest.find('\n', rest.find_first_not_of(" \t\r\n,=)]")));
  const auto open = rest.find_first_of("'\"");
  if (open == std::string_view::npos) return {};
  const auto close = rest.find(rest[open], open + 1);
  if (close == std::string_view::npos) return {};
  const auto name = rest.substr(open + 1, close - open - 1);
  const bool good = !name.empty() && std::ranges::all_of(name, [](char c) { return c == '.' || is_name(c); });
  return good ? std::string(name) : std::string();
}

}  // namespace fivefold::config
