#include "config/application_start.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/text.h"
#include "config/app_command.h"
#include "config/executable.h"
#include "config/package_json.h"
#include "config/python_source.h"

namespace fivefold::config {
namespace {

namespace fs = std::filesystem;
using Sign = ApplicationFolder::Sign;

constexpr std::string_view kPythonVersion = "3.11.";  // of the worker: Debian 12's
constexpr std::array<std::string_view, 3> kEnvironments = {"venv", ".venv", "env"};

// What a header of a request, an option or a URL can have without being written in another way.
bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || std::string_view("/-._~").contains(c);
  });
}

class Starter {
 public:
  Starter(const ApplicationFolder& application, const std::string& directory, const std::string& prefix,
          const ToolPath& tools)
      : application_(application),
        directory_(directory),
        folder_(application.path.empty() ? directory : directory + "/" + application.path),
        prefix_(prefix),
        tools_(tools) {
    start_.strip_prefix = !prefix.empty();
    if (tools.usual != kSearchPath) start_.path = tools.usual;
  }

  ApplicationStart run() {
    switch (application_.sign) {
      case Sign::procfile:
        procfile();
        break;
      case Sign::django:
        django();
        break;
      case Sign::wsgi:
        wsgi("wsgi:" + python_callable(read_source(folder_ + "/wsgi.py")));
        break;
      case Sign::asgi:
        asgi("asgi:" + python_callable(read_source(folder_ + "/asgi.py")), false);
        break;
      case Sign::psgi:
        if (tools_.perl)
          start_.psgi = "app.psgi";
        else
          start_.command = {tool("starman"), "--listen", "{socket}", "app.psgi"};
        break;
      case Sign::rack:
        rack();
        break;
      case Sign::package:
        package();
        break;
      case Sign::node:
        start_.command = {tool("node"), application_.file};
        break;
      case Sign::python:
        python();
        break;
      case Sign::servlet:
        tool("java");
        start_.servlet = ".";
        break;
      case Sign::executable:
        start_.command = {"./" + application_.file};
        break;
    }
    return std::move(start_);
  }

 private:
  // `name`, with the PATH that finds it; one that is nowhere is reported by whoever looks at the configuration.
  std::string tool(const std::string& name) {
    if (!find_program(name, tools_.usual).empty() || tools_.also.empty()) return name;
    const auto found = find_program(name, tools_.also);
    if (found.starts_with('/')) start_.path = found.substr(0, found.rfind('/')) + ":" + tools_.usual;
    return name;
  }

  // The virtual environment beside the application, or the one for all; empty when there is none.
  std::string environment() const {
    std::error_code why;
    for (const auto& above : {folder_, directory_})
      for (const auto name : kEnvironments) {
        const auto path = above + "/" + std::string(name);
        if (fs::exists(path + "/pyvenv.cfg", why) || fs::exists(path + "/bin/activate", why)) return path;
      }
    return {};
  }

  std::string python_tool(const std::string& name) {
    const auto path = environment();
    if (path.empty()) return tool(name);
    if (path.starts_with(folder_ + "/")) return path.substr(folder_.size() + 1) + "/bin/" + name;
    return path + "/bin/" + name;
  }

  // Whether the server's own worker can run it: not from an environment of another Python than its own.
  bool own_python() {
    if (!tools_.python) return false;
    start_.venv = environment();
    if (start_.venv.empty()) return true;
    const auto text = read_source(start_.venv + "/pyvenv.cfg");
    const auto at =
        text.find("version");  // "version = 3.11.2", or of uv and virtualenv "version_info = 3.11.2.final.0"
    const auto line = at == std::string::npos ? std::string() : text.substr(at, text.find('\n', at) - at);
    if (line.empty() || line.find("= " + std::string(kPythonVersion)) != std::string::npos) return true;
    start_.venv.clear();
    return false;
  }

  // gunicorn takes the prefix off by itself when it is told, and its application then knows where it is.
  void wsgi(const std::string& callable) {
    if (own_python()) {
      start_.wsgi = callable;
      return;
    }
    start_.command = {python_tool("gunicorn"), callable, "--bind", "unix:{socket}"};
    if (prefix_.empty() || !is_plain(prefix_)) return;
    start_.command.insert(start_.command.end(), {"--env", "SCRIPT_NAME=" + prefix_});
    start_.strip_prefix = false;
  }

  void asgi(const std::string& callable, bool factory) {
    if (own_python()) {
      start_.asgi = callable + (factory ? "()" : "");
      return;
    }
    start_.command = {python_tool("uvicorn"), callable, "--uds", "{socket}", "--forwarded-allow-ips", "*"};
    if (factory) start_.command.emplace_back("--factory");
    if (!prefix_.empty() && is_plain(prefix_)) start_.command.insert(start_.command.end(), {"--root-path", prefix_});
  }

  void python() {
    const auto module = application_.file.substr(0, application_.file.rfind('.'));
    const auto found = python_application(read_source(folder_ + "/" + application_.file));
    const auto object = module + ":" + (found ? found->object : "app");
    const bool factory = found && found->factory;
    if (found && found->asynchronous)
      asgi(object, factory);
    else
      wsgi(object + (factory ? "()" : ""));
  }

  // "shop.settings" or "shop.settings.local": the package that has wsgi.py.
  void django() {
    std::error_code why;
    auto package = django_settings(read_source(folder_ + "/manage.py"));
    for (const std::string_view kind : {"wsgi", "asgi"}) {
      for (auto part = package; !part.empty();
           part = part.substr(0, part.rfind('.') == std::string::npos ? 0 : part.rfind('.'))) {
        std::string path = part;
        std::ranges::replace(path, '.', '/');
        const auto file = folder_ + "/" + path + "/" + std::string(kind) + ".py";
        if (!fs::is_regular_file(file, why)) continue;
        const auto callable = part + "." + std::string(kind) + ":" + python_callable(read_source(file));
        return kind == "wsgi" ? wsgi(callable) : asgi(callable, false);
      }
    }
    start_.problem = "manage.py does not say in which package the project's wsgi.py is; write a fivefold.toml with " +
                     std::string(
                         "command = [\"gunicorn\", \"PACKAGE.wsgi:application\", \"--bind\", "
                         "\"unix:{socket}\"]");
  }

  void rack() {
    std::error_code why;
    if (fs::exists(folder_ + "/Gemfile", why))
      start_.command = {tool("bundle"), "exec", "puma", "-b", "unix://{socket}"};
    else
      start_.command = {tool("puma"), "-b", "unix://{socket}"};
  }

  // "node FILE" is started as it stands: one process less than by way of npm, and signals reach it.
  void package() {
    const auto json = read_package_json(folder_);
    const auto script = json ? json->scripts.find("start")->second : std::string();
    const auto file =
        script.starts_with("node ") ? std::string(trim(std::string_view(script).substr(5))) : std::string();
    if (!file.empty() && !file.starts_with('-') && is_plain(file))
      start_.command = {tool("node"), file};
    else
      start_.command = {tool("npm"), "start"};
  }

  void procfile() {
    const auto line = web_process(read_source(folder_ + "/Procfile"));
    std::string path;
    std::error_code why;
    if (const auto python = environment(); !python.empty()) path = python + "/bin:";
    if (fs::is_directory(folder_ + "/node_modules/.bin", why)) path += folder_ + "/node_modules/.bin:";
    // Its words are the shell's, which finds them where the user's own would.
    if (!tools_.also.empty() || !path.empty())
      start_.path = path + tools_.usual + (tools_.also.empty() ? "" : ":" + tools_.also);
    start_.command = {"/bin/sh", "-c", line};
    if (!unknown_placeholders(line).empty())
      start_.problem = "the web: line of its Procfile has a word in braces; put what it does in a script and name that";
  }

  const ApplicationFolder& application_;
  const std::string& directory_;
  std::string folder_;
  const std::string& prefix_;
  const ToolPath& tools_;
  ApplicationStart start_;
};

}  // namespace

ApplicationStart start_of(const ApplicationFolder& application, const std::string& directory, const std::string& prefix,
                          const ToolPath& tools) {
  return Starter(application, directory, prefix, tools).run();
}

ApplicationStart start_of_archive(const std::string& file, const std::string& prefix, const ToolPath& tools) {
  const ApplicationFolder folder{.sign = Sign::servlet, .path = {}, .file = file};
  auto start = start_of(folder, {}, prefix, tools);
  start.servlet = "./" + file;
  return start;
}

}  // namespace fivefold::config
