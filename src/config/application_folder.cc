#include "config/application_folder.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "config/executable.h"
#include "config/package_json.h"
#include "config/python_source.h"

namespace fivefold::config {
namespace {

using Sign = ApplicationFolder::Sign;

// Whether a file of JavaScript is a server's: it loads a module that listens, and listens. Files for browsers have the
// same names.
bool listens(const std::string& source) {
  constexpr std::array<std::string_view, 14> kModules = {"http",       "https",      "http2",    "net",     "node:http",
                                                         "node:https", "node:http2", "node:net", "express", "fastify",
                                                         "koa",        "@hapi/hapi", "polka",    "hono"};
  if (source.find(".listen(") == std::string::npos && source.find("serve(") == std::string::npos) return false;
  return std::ranges::any_of(kModules, [&](auto module) {
    for (const auto mark : {'\'', '"'}) {
      const auto word = mark + std::string(module) + mark;
      for (auto at = source.find(word); at != std::string::npos; at = source.find(word, at + 1)) {
        const auto before = trim(std::string_view(source).substr(0, at));
        if (before.ends_with("require(") || before.ends_with("from") || before.ends_with("import")) return true;
      }
    }
    return false;
  });
}

bool is_program(const std::string& path) {
  const auto executable = look_at(path);
  return executable.regular && executable.execute_bit &&
         (executable.kind == Executable::Kind::elf || executable.kind == Executable::Kind::script);
}

struct Telling {
  Sign sign;
  std::string_view file;
  bool (*confirms)(const std::string& path);  // null: the name is enough
};

bool has_web_process(const std::string& path) { return !web_process(read_source(path)).empty(); }
bool is_django(const std::string& path) { return read_source(path).find("django") != std::string::npos; }
bool is_listening(const std::string& path) { return listens(read_source(path)); }
bool is_python(const std::string& path) { return python_application(read_source(path)).has_value(); }
bool has_descriptor(const std::string& path) {
  std::error_code why;
  return std::filesystem::is_regular_file(path + "/web.xml", why);
}
bool has_start(const std::string& path) {
  const auto package = read_package_json(path.substr(0, path.rfind('/')));
  return package && package->scripts.contains("start");
}

constexpr std::array<Telling, 20> kSigns = {{{Sign::procfile, "Procfile", has_web_process},
                                             {Sign::django, "manage.py", is_django},
                                             {Sign::wsgi, "wsgi.py", nullptr},
                                             {Sign::asgi, "asgi.py", nullptr},
                                             {Sign::psgi, "app.psgi", nullptr},
                                             {Sign::rack, "config.ru", nullptr},
                                             {Sign::package, "package.json", has_start},
                                             {Sign::node, "server.js", nullptr},
                                             {Sign::node, "server.mjs", nullptr},
                                             {Sign::node, "server.cjs", nullptr},
                                             {Sign::node, "app.js", is_listening},
                                             {Sign::node, "app.mjs", is_listening},
                                             {Sign::node, "index.js", is_listening},
                                             {Sign::node, "index.mjs", is_listening},
                                             {Sign::node, "main.js", is_listening},
                                             {Sign::node, "main.mjs", is_listening},
                                             {Sign::python, "app.py", is_python},
                                             {Sign::python, "main.py", is_python},
                                             {Sign::servlet, "WEB-INF", has_descriptor},
                                             {Sign::executable, "server", is_program}}};

}  // namespace

std::string kind_of(Sign sign) {
  switch (sign) {
    case Sign::procfile:
      return "an application with a Procfile";
    case Sign::django:
      return "a Python (Django) application";
    case Sign::wsgi:
      return "a Python (WSGI) application";
    case Sign::asgi:
      return "a Python (ASGI) application";
    case Sign::psgi:
      return "a Perl (PSGI) application";
    case Sign::rack:
      return "a Ruby (Rack) application";
    case Sign::package:
    case Sign::node:
      return "a Node.js application";
    case Sign::python:
      return "a Python application";
    case Sign::servlet:
      return "a Java servlet application";
    case Sign::executable:
      return "a program that serves";
  }
  return {};
}

std::optional<ApplicationFolder> application_in(const std::string& whole, const std::string& path,
                                                const std::vector<std::string>& names) {
  for (const auto& [sign, file, confirms] : kSigns) {
    if (std::ranges::find(names, file) == names.end()) continue;
    std::error_code why;
    const auto found = whole + "/" + std::string(file);
    if (sign != Sign::servlet && !std::filesystem::is_regular_file(found, why)) continue;
    if (confirms && !confirms(found)) continue;
    return ApplicationFolder{.sign = sign, .path = path, .file = std::string(file)};
  }
  return std::nullopt;
}

std::string web_process(const std::string& procfile) {
  std::string_view rest = procfile;
  while (!rest.empty()) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.starts_with("web:"))
      return std::string(trim(line.ends_with('\r') ? line.substr(4, line.size() - 5) : line.substr(4)));
  }
  return {};
}

std::string read_source(const std::string& path) {
  std::error_code why;
  if (!std::filesystem::is_regular_file(path, why)) return {};
  const auto size = std::filesystem::file_size(path, why);
  if (why) return {};
  std::ifstream file(path, std::ios::binary);
  std::string text(std::min<std::size_t>(size, kMostOfSource), '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

}  // namespace fivefold::config
