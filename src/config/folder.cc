#include "config/folder.h"

#include <algorithm>

#include "base/text.h"
#include "config/executable.h"
#include "config/folder_scan.h"
#include "config/path_pattern.h"

namespace fivefold::config {
namespace {

constexpr std::size_t kMostListed = 20;  // programs of one route told one by one

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

class Builder {
 public:
  Builder(const std::string& directory, const std::vector<std::string>& listen)
      : directory_(directory), scan_(scan_folder(directory)) {
    folder_.toml = "# Made for this folder; save it as fivefold.toml in there to change it.\n[server]\nlisten = [";
    if (listen.empty()) folder_.toml += "\"127.0.0.1:8080\"";
    for (std::size_t i = 0; i < listen.size(); ++i) folder_.toml += (i > 0 ? ", " : "") + toml_string(listen[i]);
    folder_.toml += "]\naccess_log = \"-\"\nerror_detail = \"page\"\n";
  }

  // First match wins: what must not be sent stands before the files, and a folder that is guarded whole before what
  // might run in it.
  Folder build() {
    functions();
    applications();
    cgi_folders();
    cgi_files();
    php();
    wars();
    application_at_top();
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
    deny("/functions/*");
    for (const auto& name : scan_.functions)
      folder_.found.push_back(
          {"/functions/" + printable(name, 200), "function", "functions/" + printable(name, 200), "",
           "functions run on demand, which this version does not have yet; until then the answer is 404"});
  }

  void applications() {
    for (const auto& application : scan_.applications) {
      if (application.path.empty()) continue;
      const auto pattern = pattern_above(application.path);
      if (pattern != "/*")
        deny(pattern);
      else
        guard_everything_ = true;
      tell(application, "/" + application.path + "/*");
    }
  }

  void tell(const ApplicationFolder& application, const std::string& route) {
    const auto sign = application.path.empty() ? application.sign : application.path + "/" + application.sign;
    folder_.found.push_back({printable(route, 200), "app", printable(sign, 200) + " (" + application.kind + ")", "",
                             "application servers are not part of this version yet; until then the answer is 404 for "
                             "everything in this folder"});
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
      folder_.toml += "[program." + name + "]\nmodel = \"cgi\"\nroot = " + toml_string(path) + "\n";
      // What looks like data beside the programs is not listed.
      std::erase_if(inside, [&](const auto& file) {
        const auto executable = look_at(directory_ + "/" + file);
        return !executable.execute_bit && executable.kind == Executable::Kind::other;
      });
      programs(pattern, inside);
    }
    // A folder made while the server runs must not be sent as files.
    if (std::ranges::find(scan_.cgi_folders, "cgi-bin") == scan_.cgi_folders.end()) deny("/cgi-bin/*");
  }

  void cgi_files() {
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

  void php() {
    std::set<std::string> suffixes = {".php", ".phtml"};
    std::size_t count = 0;
    for (const auto& [suffix, files] : scan_.php) {
      suffixes.insert(suffix);
      count += files;
    }
    for (const auto& suffix : suffixes) deny("*" + suffix);
    if (count > 0)
      folder_.found.push_back(
          {"*.php", "module", counted(count, "PHP file"), "",
           "PHP runs as a module, which this version does not have yet; until then the answer is 404"});
  }

  void wars() {
    std::set<std::string> suffixes = scan_.war_suffixes;
    suffixes.insert(".war");
    for (const auto& suffix : suffixes) deny("*" + suffix);
    for (const auto& path : scan_.wars)
      folder_.found.push_back({"*.war", "app", printable(path, 200) + " (a Java servlet application)", "",
                               "application servers are not part of this version yet; until then the answer is 404"});
  }

  void guard_above(const std::string& path) {
    const auto pattern = pattern_above(path);
    if (pattern == "/*")
      guard_everything_ = true;
    else
      deny(pattern);
  }

  void application_at_top() {
    for (const auto& application : scan_.applications) {
      if (!application.path.empty()) continue;
      guard_everything_ = true;
      tell(application, "/*");
    }
    if (guard_everything_) deny("/*");
  }

  void files() {
    if (guard_everything_) return;
    route("/*", "files = \".\"\nindex = [\"index.html\"]\nlisting = true");
    folder_.found.push_back({"/*", "files", (scan_.complete ? "" : "at least ") + counted(scan_.files, "file"),
                             "sent as they are; a folder shows its index.html, or a listing", ""});
  }

  const std::string& directory_;
  FolderScan scan_;
  Folder folder_;
  std::vector<std::string> denied_;
  bool guard_everything_ = false;
};

}  // namespace

Folder read_folder(const std::string& directory, const std::vector<std::string>& listen) {
  return Builder(directory, listen).build();
}

}  // namespace fivefold::config
