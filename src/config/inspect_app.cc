// What only the machine can tell about an application.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text.h"
#include "config/app_command.h"
#include "config/executable.h"
#include "config/inspection.h"
#include "config/package_json.h"

namespace fivefold::config {
namespace {

namespace fs = std::filesystem;

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

std::string shown(const std::string& path) { return printable(path, 400); }

class AppInspection {
 public:
  AppInspection(Inspection& inspection, const Program& program)
      : inspection_(inspection),
        program_(program),
        app_(program.app),
        name_("program '" + program.name + "'"),
        search_path_(search_path_of(program)) {}

  void run() {
    if (!app_.xsendfile_root.empty())
      inspection_.folder(app_.xsendfile_root, at("xsendfile_root"), "the xsendfile_root of " + name_);
    if (app_.kind == AppKind::address) return reached();
    // A faulty configuration is looked at as well, for what of it is sound.
    if (app_.root.empty() || (app_.command.empty() && app_.servlet.empty())) return;
    const bool there = inspection_.folder(app_.root, at("root"), "the root of " + name_);
    if (app_.kind == AppKind::servlet) return servlet();
    if (there && command() && app_.kind == AppKind::node) node();
  }

 private:
  Position at(const std::string& key) const {
    return inspection_.position("program." + program_.name + "." + key, program_.position);
  }

  // Where the command is started.
  const std::string& folder() const {
    return program_.working_directory.empty() ? app_.root : program_.working_directory;
  }

  bool command() {
    const auto& program = app_.command.front();
    if (!unknown_placeholders(program).empty() || program.starts_with('{')) return true;
    const auto where = at("command");
    const auto start = "the command of " + name_ + " cannot be started: ";
    if (program.find('/') == std::string::npos) {
      if (!find_program(program, search_path_).empty()) return true;
      inspection_.error(where, start + "there is no " + shown(program) + " on its PATH",
                        install_mend(program, "write the path of the program"));
      return false;
    }
    std::error_code why;
    if (!fs::exists(program, why)) {
      inspection_.error(where, start + shown(program) + " is not there", missing_mend(program));
      return false;
    }
    auto missing = what_is_missing(program, look_at(program), false, search_path_);
    if (missing.message.empty()) return true;
    inspection_.error(where, start + missing.message,
                      missing.message.starts_with("the interpreter") ? missing_mend(program) : missing.mend);
    return false;
  }

  // Programs of a virtual environment and of node_modules come with a command of their own.
  std::string missing_mend(const std::string& program) const {
    const auto bin = parent_of(program);
    const auto environment = parent_of(bin);
    const auto kind = base_name(environment);
    if (base_name(bin) == "bin" && (kind == "venv" || kind == ".venv" || kind == "env")) {
      const auto pip = shown(environment) + "/bin/pip install " + shown(std::string(base_name(program)));
      std::error_code why;
      if (fs::exists(environment + "/bin/pip", why) && !fs::exists(program, why)) return pip;
      return "python3 -m venv " + shown(environment) + " && " + pip;
    }
    if (base_name(bin) == ".bin" && kind == "node_modules")
      return "run npm install in " + shown(parent_of(environment));
    return "install it, or correct the path";
  }

  void node() {
    const auto package = read_package_json(folder());
    const auto tool = std::string(base_name(app_.command.front()));
    if (tool == "npm" || tool == "pnpm" || tool == "yarn") {
      if (!package) {
        inspection_.error(at("command"), shown(tool) + " finds no readable package.json in " + shown(folder()),
                          "correct the root of " + name_);
        return;
      }
      script(tool, *package);
    } else if (tool == "node" || tool == "nodejs") {
      entry_file();
    }
    if (package && package->dependencies && !has_packages(folder()))
      inspection_.warning(
          at("root"),
          "the package.json of " + name_ + " names packages, but there is no node_modules in " + shown(folder()),
          "run npm install in " + shown(folder()));
  }

  // "npm start", "npm run serve", "yarn serve": a script of that name.
  void script(const std::string& tool, const PackageJson& package) {
    std::string name;
    if (app_.command.size() > 1) name = app_.command[1];
    if ((name == "run" || name == "run-script") && app_.command.size() > 2)
      name = app_.command[2];
    else if (name != "start")
      return;
    if (name.starts_with('-') || package.scripts.contains(name)) return;
    std::error_code why;
    if (name == "start" && fs::exists(folder() + "/server.js", why)) return;
    std::string known;
    for (const auto& [other, text] : package.scripts)
      if (known.size() < 200) known += (known.empty() ? "" : ", ") + printable(other);
    inspection_.error(at("command"),
                      "the package.json in " + shown(folder()) + " has no script '" + printable(name) + "', which " +
                          tool + " is to run for " + name_,
                      known.empty() ? "add \"scripts\": { \"" + printable(name) + "\": \"node server.js\" } to it"
                                    : "it has " + known);
  }

  // "node server.js": Node.js takes "server" for server.js, and a folder for its index.js.
  void entry_file() {
    const auto word = std::ranges::find_if(app_.command.begin() + 1, app_.command.end(),
                                           [](const auto& text) { return !text.starts_with('-'); });
    // What follows an option may be its value.
    if (word == app_.command.end() || word != app_.command.begin() + 1 || word->find('{') != std::string::npos) return;
    const auto path = word->starts_with('/') ? *word : folder() + "/" + *word;
    std::error_code why;
    if (std::ranges::any_of(std::array{"", ".js", ".json", ".node"},
                            [&](const auto* suffix) { return fs::exists(path + suffix, why); }))
      return;
    inspection_.error(at("command"), "the command of " + name_ + " cannot be started: " + shown(path) + " is not there",
                      "correct the command or the root");
  }

  void servlet() {
    for (const auto& path : app_.servlet) {
      std::error_code why;
      const auto what = "the servlet application of " + name_;
      if (!fs::is_directory(path, why)) {
        inspection_.readable_file(path, at("servlet"), what);
      } else if (!fs::exists(path + "/WEB-INF", why)) {
        inspection_.error(at("servlet"), what + ", " + shown(path) + ", is a folder without WEB-INF",
                          "name a WAR file, or the folder that it was unpacked to");
      }
    }
    if (find_program("java", search_path_).empty())
      inspection_.error(at("servlet"), name_ + " cannot be started: there is no java on its PATH",
                        install_mend("java"));
  }

  // Somebody else's: what is not there yet may come.
  void reached() {
    const auto where = at("address");
    for (const auto& address : app_.address) {
      if (!address.starts_with("unix:/")) continue;
      const auto path = address.substr(5);
      struct stat status{};
      if (::stat(path.c_str(), &status) != 0)
        inspection_.warning(where,
                            "the socket " + shown(path) + " of " + name_ + " cannot be found: " + errno_text(errno),
                            "start what listens there");
      else if (!S_ISSOCK(status.st_mode))
        inspection_.warning(where, shown(path) + " of " + name_ + " is not a socket", "correct the address");
      else if (!is_root() && ::access(path.c_str(), W_OK) != 0)
        inspection_.warning(
            where, "the socket " + shown(path) + " of " + name_ + " cannot be connected to: " + errno_text(errno),
            "let " + inspection_.owner() + " write to it");
    }
    std::error_code why;
    const bool here = std::ranges::any_of(app_.address, [](const auto& text) { return text.starts_with("unix:"); });
    if (!app_.root.empty() && here && !fs::is_directory(app_.root, why))
      inspection_.warning(at("root"),
                          "the root of " + name_ + ", " + shown(app_.root) + ", is not a folder that can be seen",
                          "correct the path, if what answers does not see another file system");
    else if (!app_.script.empty() && here && !fs::is_regular_file(app_.script, why))
      inspection_.warning(at("script"), "the script of " + name_ + ", " + shown(app_.script) + ", is not there",
                          "correct the path, if what answers does not see another file system");
    for (const auto& [key, path] :
         {std::pair("ca", app_.tls_ca), std::pair("certificate", app_.tls_certificate), std::pair("key", app_.tls_key)})
      if (!path.empty())
        inspection_.readable_file(path, at(std::string("tls.") + key),
                                  std::string("the ") + key + " in tls of " + name_);
  }

  Inspection& inspection_;
  const Program& program_;
  const App& app_;
  std::string name_;
  std::string search_path_;
};

}  // namespace

void inspect_app(Inspection& inspection, const Program& program) { AppInspection(inspection, program).run(); }

}  // namespace fivefold::config
