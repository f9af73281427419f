#include "config/folder.h"

#include <algorithm>
#include <cstdlib>
#include <tuple>

#include "base/text.h"
#include "config/executable.h"
#include "config/folder_scan.h"
#include "config/load.h"
#include "config/path_pattern.h"
#include "config/worker_executable.h"

namespace fivefold::config {
namespace {

constexpr std::size_t kMostListed = 20;        // programs of one route told one by one
constexpr std::size_t kMostApplications = 50;  // of the folder, and as many WAR files

std::string toml_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      constexpr std::string_view kHex = "0123456789ABCDEF";
      result += "\\u00";
      result += kHex[byte >> 4];
      result += kHex[byte & 15];
    } else {
      result += c;
    }
  }
  return result + "\"";
}

// What TOML can say at all is UTF-8; other names are guarded by the folder above them.
bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const std::size_t more = byte < 0x80                   ? 0
                             : byte >= 0xC2 && byte < 0xE0 ? 1
                             : byte >= 0xE0 && byte < 0xF0 ? 2
                             : byte >= 0xF0 && byte < 0xF5 ? 3
                                                           : 4;
    if (more == 4 || i + more >= text.size()) return false;
    unsigned value = more == 0 ? byte : byte & (0x3Fu >> more);
    for (std::size_t k = 1; k <= more; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xC0) != 0x80) return false;
      value = (value << 6) | (next & 0x3Fu);
    }
    const bool shortest = (more < 2 || value >= 0x800) && (more < 3 || value >= 0x10000);
    if (!shortest || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return false;
    i += more + 1;
  }
  return true;
}

bool can_be_pattern(const std::string& pattern) {
  return is_utf8(pattern) && check_path_pattern(pattern).message.empty();
}

// "/a/b/*" for "a/b": the nearest folder upwards whose name a pattern can have.
std::string pattern_above(std::string folder) {
  while (!folder.empty()) {
    auto pattern = "/" + folder + "/*";
    if (can_be_pattern(pattern)) return pattern;
    const auto slash = folder.rfind('/');
    folder = slash == std::string::npos ? std::string() : folder.substr(0, slash);
  }
  return "/*";
}

std::string counted(std::size_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

// "/srv/www/cgi-bin/hello.pl" is started as "/usr/bin/perl hello.pl".
Found found_program(const std::string& directory, const std::string& path, const std::string& route) {
  const auto whole = directory + "/" + path;
  const auto executable = look_at(whole);
  const auto kind = kind_name(executable);
  const auto name = path.substr(path.rfind('/') + 1);
  Found found{.route = route,
              .model = "cgi",
              .what = printable(path, 200) + (kind.empty() ? "" : " (" + kind + ")"),
              .start = {},
              .missing = {}};
  std::string command = executable.kind == Executable::Kind::script ? executable.interpreter : std::string();
  if (executable.by_env) command = find_program(command).empty() ? command : find_program(command);
  found.start = "a process per request: " + (command.empty() ? "" : printable(command) + " ") + printable(name, 200);
  auto missing = what_is_missing(whole, executable, false);
  if (!missing.message.empty()) found.missing = missing.message + (missing.mend.empty() ? "" : "; " + missing.mend);
  return found;
}

// What a program of this folder is called: letters, digits and - of its path.
std::string name_from(std::string_view path) {
  constexpr std::size_t kLongest = 40;
  std::string name;
  for (const char c : path) {
    const bool fits = is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '_';
    if (fits)
      name += c;
    else if (!name.empty() && !name.ends_with('-'))
      name += '-';
    if (name.size() >= kLongest) break;
  }
  while (name.ends_with('-')) name.pop_back();
  // Those of the CGI programs are taken.
  if (name.empty() || name.starts_with("cgi-")) name = name.empty() ? "app" : "app-" + name;
  return name;
}

class Builder {
 public:
  Builder(const std::string& directory, const std::vector<std::string>& listen, ToolPath tools)
      : directory_(directory), tools_(std::move(tools)), scan_(scan_folder(directory)) {
    folder_.toml = "# Made for this folder; save it as fivefold.toml in there to change it.\n[server]\nlisten = [";
    if (listen.empty()) folder_.toml += "\"127.0.0.1:8080\"";
    for (std::size_t i = 0; i < listen.size(); ++i) folder_.toml += (i > 0 ? ", " : "") + toml_string(listen[i]);
    folder_.toml += "]\naccess_log = \"-\"\nerror_detail = \"page\"\n";
  }

  // First match wins: what must not be sent stands before the files, and a folder that is guarded whole before what
  // might run in it.
  Folder build() {
    top_ = top_application();
    functions();
    applications();
    wars();
    environments();
    cgi_folders();
    cgi_files();
    php();
    archives();
    top();
    files();
    return std::move(folder_);
  }

 private:
  void route(const std::string& path, const std::string& action) {
    folder_.toml += "\n[[route]]\npath = " + toml_string(path) + "\n" + action + "\n";
  }
  void deny(const std::string& path) {
    if (std::ranges::find(denied_, path) != denied_.end()) return;
    denied_.push_back(path);
    route(path, "deny = true");
  }

  void functions() {
    if (!top_ || !scan_.functions.empty()) deny("/functions/*");
    for (const auto& name : scan_.functions)
      folder_.found.push_back(
          {"/functions/" + printable(name, 200), "function", "functions/" + printable(name, 200), "",
           "functions run on demand, which this version does not have yet; until then the answer is 404"});
  }

  // What is mounted, and what keeps it from running.
  struct Mounted {
    std::string program;  // its table in the configuration; empty when it cannot run
    std::string name;
    Found found;
  };

  // `folder` is the application's, relative; `pattern` its route.
  Mounted mount(const std::string& folder, const std::string& sign, const std::string& kind, const std::string& pattern,
                const ApplicationStart& start) {
    Mounted mounted;
    mounted.found = {.route = printable(pattern, 200),
                     .model = "app",
                     .what = printable(sign, 200) + " (" + kind + ")",
                     .start = {},
                     .missing = start.problem};
    const bool on_demand = pattern != "/*";
    for (const auto& word : start.command) mounted.found.start += " " + printable(word, 200);
    if (const auto own = own_worker(start); !own.empty()) mounted.found.start = own;
    if (!start.servlet.empty())
      mounted.found.start =
          " a container for " + (start.servlet != "." ? printable(sign.substr(sign.rfind('/') + 1), 200)
                                 : folder.empty()     ? std::string("this folder")
                                                      : printable(folder, 200));
    mounted.found.start = std::string(own_worker(start).empty() ? "a process that stays" : "a worker that stays") +
                          (on_demand ? ", from the first request on:" : ":") + mounted.found.start;
    if (!start.problem.empty()) return mounted;
    if (!can_be_pattern(pattern)) {
      mounted.found.missing = "the folder's name cannot be written in a route; rename it";
      return mounted;
    }
    mounted.name = free_name(pattern);
    mounted.program = program_of(mounted.name, folder, start, on_demand);
    look_at_program(mounted);
    return mounted;
  }

  // " WSGI, shop.wsgi:application"; empty for what has a process of its own.
  static std::string own_worker(const ApplicationStart& start) {
    if (!start.wsgi.empty()) return " WSGI, " + printable(start.wsgi, 200);
    if (!start.asgi.empty()) return " ASGI, " + printable(start.asgi, 200);
    if (!start.psgi.empty()) return " PSGI, " + printable(start.psgi, 200);
    return {};
  }

  std::string free_name(const std::string& pattern) {
    const auto wanted = name_from(pattern);
    auto name = wanted;
    for (int number = 2; std::ranges::find(names_, name) != names_.end(); ++number)
      name = wanted + "-" + std::to_string(number);
    names_.push_back(name);
    return name;
  }

  static std::string program_of(const std::string& name, const std::string& folder, const ApplicationStart& start,
                                bool on_demand) {
    std::string text = "[program." + name + "]\nmodel = \"app\"\nroot = " + toml_string("./" + folder) + "\n";
    for (const auto& [key, value] :
         {std::pair("wsgi", start.wsgi), {"asgi", start.asgi}, {"psgi", start.psgi}, {"venv", start.venv}})
      if (!value.empty()) text += std::string(key) + " = " + toml_string(value) + "\n";
    if (!start.servlet.empty()) text += "servlet = " + toml_string(start.servlet) + "\n";
    for (std::size_t i = 0; i < start.command.size(); ++i)
      text += (i == 0 ? "command = [" : ", ") + toml_string(start.command[i]);
    if (!start.command.empty()) text += "]\n";
    // Many folders may lie here: what nobody asks for does not run.
    if (on_demand) text += "instances = { min = 0, max = 1, idle_timeout = \"10m\" }\n";
    if (!own_worker(start).empty()) return text;  // the server tells it its prefix
    if (start.strip_prefix) text += "strip_prefix = true\n";
    if (!start.path.empty()) text += "env = { PATH = " + toml_string(start.path) + " }\n";
    return text;
  }

  // What `check` would say of it. With an error the whole folder could not be served, so it is left out.
  void look_at_program(Mounted& mounted) const {
    const auto loaded = parse("[[route]]\nrun = \"" + mounted.name + "\"\n" + mounted.program, "serve", directory_);
    auto faults = loaded.faults;
    if (loaded.config) faults = inspect(*loaded.config);
    const auto worst = std::ranges::min_element(faults, {}, &Fault::severity);
    if (worst == faults.end()) return;
    mounted.found.missing = worst->message + (worst->mend.empty() ? "" : "; " + worst->mend);
    if (worst->severity == Fault::Severity::error) mounted.program.clear();
  }

  // The one that has the whole folder, if there is one.
  std::optional<Mounted> top_application() {
    for (const auto& application : scan_.applications)
      if (application.path.empty())
        return mount("", application.file, kind_of(application.sign), "/*",
                     start_of(application, directory_, "", tools_));
    for (const auto& path : scan_.wars)
      if (path == "ROOT.war") return mount("", path, kServletKind, "/*", start_of_archive(path, "", tools_));
    return std::nullopt;
  }

  void applications() {
    std::vector<std::string> guarded;
    std::size_t count = 0;
    for (const auto& application : scan_.applications) {
      if (application.path.empty()) continue;
      const auto prefix = "/" + application.path;
      const auto sign = application.path + "/" + application.file;
      auto mounted = ++count > kMostApplications
                         ? too_many(sign, kind_of(application.sign), prefix + "/*")
                         : mount(application.path, sign, kind_of(application.sign), prefix + "/*",
                                 start_of(application, directory_, prefix, tools_));
      if (mounted.program.empty()) guarded.push_back(application.path);
      add(std::move(mounted), prefix + "/*");
    }
    for (const auto& path : guarded) guard_above(path);
  }

  static Mounted too_many(const std::string& sign, const std::string& kind, const std::string& pattern) {
    return {.program = {},
            .name = {},
            .found = {.route = printable(pattern, 200),
                      .model = "app",
                      .what = printable(sign, 200) + " (" + kind + ")",
                      .start = {},
                      .missing = "there are more than " + std::to_string(kMostApplications) +
                                 " applications here; serve its folder, or write a fivefold.toml"}};
  }

  // The route and the program of what can run; a word on the answer for what cannot.
  void add(Mounted mounted, const std::string& pattern) {
    if (!mounted.program.empty()) {
      route(pattern, "run = \"" + mounted.name + "\"");
      folder_.toml += mounted.program;
      mounts_.push_back(pattern);
    } else {
      mounted.found.missing += "; until then the answer is 404";
    }
    folder_.found.push_back(std::move(mounted.found));
  }

  // "shop.war" answers at /shop/, "ROOT.war" for the folder it lies in.
  void wars() {
    auto archives = scan_.wars;
    std::erase(archives, "ROOT.war");
    // What answers for a folder comes after all that lies in it.
    std::ranges::sort(archives, {}, [](const auto& path) {
      const bool root = path.ends_with("/ROOT.war");
      return std::tuple(root, root ? -static_cast<std::ptrdiff_t>(path.size()) : 0, path);
    });
    std::size_t count = 0;
    for (const auto& path : archives) {
      const auto slash = path.rfind('/');
      const auto folder = slash == std::string::npos ? std::string() : path.substr(0, slash);
      const auto file = slash == std::string::npos ? path : path.substr(slash + 1);
      const auto prefix = "/" + (file == "ROOT.war" ? folder : path.substr(0, path.rfind('.')));
      if (std::ranges::find(mounts_, prefix + "/*") != mounts_.end() ||
          std::ranges::find(denied_, prefix + "/*") != denied_.end()) {
        folder_.found.push_back({printable(prefix, 200) + "/*",
                                 "app",
                                 printable(path, 200) + " (" + kServletKind + ")",
                                 {},
                                 "the folder of that name beside it comes first"});
        continue;
      }
      add(++count > kMostApplications
              ? too_many(path, kServletKind, prefix + "/*")
              : mount(folder, path, kServletKind, prefix + "/*", start_of_archive(file, prefix, tools_)),
          prefix + "/*");
    }
  }

  void environments() {
    for (const auto& path : scan_.environments) guard_above(path);
  }

  void programs(const std::string& route, const std::vector<std::string>& paths) {
    for (std::size_t i = 0; i < paths.size() && i < kMostListed; ++i)
      folder_.found.push_back(found_program(directory_, paths[i], route));
    if (paths.size() > kMostListed)
      folder_.found.push_back({route, "cgi", "and " + std::to_string(paths.size() - kMostListed) + " more", "", ""});
  }

  void cgi_folders() {
    std::size_t number = 0;
    for (const auto& path : scan_.cgi_folders) {
      const auto pattern = "/" + path + "/*";
      std::vector<std::string> inside;
      for (const auto& file : scan_.cgi_bin_files)
        if (file.starts_with(path + "/")) inside.push_back(file);
      if (!can_be_pattern(pattern)) {
        guard_above(path);
        folder_.found.push_back({printable(pattern, 200), "cgi", printable(path, 200), "",
                                 "the folder's name cannot be written in a route; rename it to run its programs"});
        continue;
      }
      const auto name = number == 0 ? std::string("cgi-bin") : "cgi-bin-" + std::to_string(number + 1);
      ++number;
      route(pattern, "run = \"" + name + "\"");
      folder_.toml += "[program." + name + "]\nmodel = \"cgi\"\nroot = " + toml_string("./" + path) + "\n";
      // What looks like data beside the programs is not listed.
      std::erase_if(inside, [&](const auto& file) {
        const auto executable = look_at(directory_ + "/" + file);
        return !executable.execute_bit && executable.kind == Executable::Kind::other;
      });
      programs(pattern, inside);
    }
    // A folder made while the server runs must not be sent as files.
    if (!top_ && std::ranges::find(scan_.cgi_folders, "cgi-bin") == scan_.cgi_folders.end()) deny("/cgi-bin/*");
  }

  void cgi_files() {
    if (top_ && scan_.cgi_files.empty()) return;
    std::set<std::string> suffixes = scan_.cgi_suffixes;
    suffixes.insert(".cgi");
    std::string extensions;
    for (const auto& suffix : suffixes) {
      route("*" + suffix, "run = \"cgi-files\"");
      extensions += (extensions.empty() ? "" : ", ") + toml_string(suffix);
    }
    folder_.toml += "[program.cgi-files]\nmodel = \"cgi\"\nroot = \".\"\nextensions = [" + extensions + "]\n";
    programs("*.cgi", scan_.cgi_files);
  }

  // Where there is PHP, its program has everything that nothing else here has: its own files lie beside its scripts.
  void php() {
    if (top_) return;
    std::set<std::string> suffixes = {".php", ".phtml"};
    std::size_t count = 0, scripts = 0;
    for (const auto& [suffix, files] : scan_.php) {
      suffixes.insert(suffix);
      count += files;
      if (is_php(suffix)) scripts += files;
    }
    runs_php_ = tools_.php && scripts > 0;
    for (const auto& suffix : suffixes)
      if (!runs_php_ || !is_php(suffix)) deny("*" + suffix);
    if (runs_php_)
      folder_.found.push_back(
          {"*.php", "module", counted(scripts, "PHP file"),
           "PHP in the server's own workers; index.php at the top has every path that is nothing else's", ""});
    else if (count > 0)
      folder_.found.push_back({"*.php", "module", counted(count, "PHP file"), "",
                               tools_.php ? "only .php runs; until it is renamed the answer is 404"
                                          : worker_mend(Language::php) + "; until then the answer is 404"});
  }

  static bool is_php(std::string_view suffix) { return equals_ignoring_case(suffix, ".php"); }

  void archives() {
    if (top_) return;
    std::set<std::string> suffixes = scan_.war_suffixes;
    suffixes.insert(".war");
    for (const auto& suffix : suffixes) deny("*" + suffix);
  }

  void guard_above(const std::string& path) {
    const auto pattern = pattern_above(path);
    if (pattern == "/*")
      guard_everything_ = true;
    else
      deny(pattern);
  }

  // It has what nothing else here has; its sources are not sent when it cannot run.
  void top() {
    const bool runs = top_ && !top_->program.empty();
    guard_everything_ = !runs && (guard_everything_ || top_);
    if (guard_everything_) deny("/*");
    if (top_) add(std::move(*top_), "/*");
  }

  void files() {
    if (guard_everything_ || top_) return;
    if (runs_php_) {
      const auto name = free_name("/php");
      route("/*", "run = \"" + name + "\"");
      folder_.toml += "[program." + name +
                      "]\nmodel = \"module\"\nlanguage = \"php\"\nroot = \".\"\nlisting = true\n"
                      "instances = { min = 1, max = 4 }\n";
    } else {
      route("/*", "files = \".\"\nindex = [\"index.html\"]\nlisting = true");
    }
    folder_.found.push_back({"/*", "files", (scan_.complete ? "" : "at least ") + counted(scan_.files, "file"),
                             "sent as they are; a folder shows its index.html, or a listing", ""});
  }

  static constexpr const char* kServletKind = "a Java servlet application";

  const std::string& directory_;
  ToolPath tools_;
  FolderScan scan_;
  Folder folder_;
  std::optional<Mounted> top_;
  std::vector<std::string> names_;   // of the programs
  std::vector<std::string> mounts_;  // the applications' routes
  std::vector<std::string> denied_;
  bool guard_everything_ = false;
  bool runs_php_ = false;
};

}  // namespace

Folder read_folder(const std::string& directory, const std::vector<std::string>& listen,
                   const std::optional<ToolPath>& tools) {
  const char* const own = std::getenv("PATH");
  const auto has = [&tools](Language language) { return !tools && !worker_executable(language).empty(); };
  return Builder(directory, listen,
                 tools.value_or(ToolPath{.usual = std::string(kSearchPath),
                                         .also = own ? own : "",
                                         .php = has(Language::php),
                                         .python = has(Language::python),
                                         .perl = has(Language::perl)}))
      .build();
}

}  // namespace fivefold::config
