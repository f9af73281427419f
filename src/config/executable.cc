#include "config/executable.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/text.h"
#include "base/unique_fd.h"

namespace fivefold::config {
namespace {

constexpr std::size_t kLongestShebang = 255;  // what the kernel looks at

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// "python3.11" → "python"
std::string_view without_version(std::string_view name) { return name.substr(0, name.find_first_of("0123456789")); }

bool is_executable_file(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & 0111) != 0;
}

std::string_view next_word(std::string_view& text) {
  text = trim(text);
  const auto word = text.substr(0, text.find_first_of(" \t"));
  text.remove_prefix(word.size());
  return word;
}

void read_shebang(std::string_view head, Executable& executable) {
  auto line = head.substr(2, head.find('\n') == std::string_view::npos ? std::string_view::npos : head.find('\n') - 2);
  if (line.ends_with('\r')) {
    executable.carriage_return = true;
    line.remove_suffix(1);
  }
  executable.kind = Executable::Kind::script;
  executable.interpreter = next_word(line);
  if (base_name(executable.interpreter) != "env") return;
  auto word = next_word(line);
  while (word.starts_with('-') || word.find('=') != std::string_view::npos) word = next_word(line);
  if (word.empty()) return;
  executable.by_env = true;
  executable.interpreter = word;
}

}  // namespace

Executable look_at(const std::string& path) {
  Executable executable;
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status{};
  if ((file ? ::fstat(file.get(), &status) : ::stat(path.c_str(), &status)) == 0) {
    executable.regular = S_ISREG(status.st_mode);
    executable.execute_bit = (status.st_mode & 0111) != 0;
  }
  if (!file) {
    executable.kind = Executable::Kind::unreadable;
    return executable;
  }
  if (!executable.regular) return executable;
  std::array<char, kLongestShebang + 1> bytes{};
  const auto count = ::read(file.get(), bytes.data(), bytes.size());
  const std::string_view head(bytes.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
  if (head.starts_with("\x7f"
                       "ELF"))
    executable.kind = Executable::Kind::elf;
  else if (head.starts_with("#!"))
    read_shebang(head, executable);
  return executable;
}

std::string kind_name(const Executable& executable) {
  if (executable.kind == Executable::Kind::elf) return "ELF";
  if (executable.kind != Executable::Kind::script) return {};
  constexpr std::array<std::pair<std::string_view, std::string_view>, 14> kLanguages = {{{"perl", "Perl"},
                                                                                         {"python", "Python"},
                                                                                         {"sh", "shell"},
                                                                                         {"bash", "shell"},
                                                                                         {"dash", "shell"},
                                                                                         {"ksh", "shell"},
                                                                                         {"zsh", "shell"},
                                                                                         {"php", "PHP"},
                                                                                         {"php-cgi", "PHP"},
                                                                                         {"ruby", "Ruby"},
                                                                                         {"node", "Node.js"},
                                                                                         {"nodejs", "Node.js"},
                                                                                         {"lua", "Lua"},
                                                                                         {"tclsh", "Tcl"}}};
  const auto base = base_name(executable.interpreter);
  for (const auto& [name, language] : kLanguages)
    if (name == without_version(base)) return std::string(language);
  return printable(base);
}

std::string find_program(std::string_view name, std::string_view search_path) {
  if (name.empty()) return {};
  if (name.find('/') != std::string_view::npos)
    return is_executable_file(std::string(name)) ? std::string(name) : std::string();
  while (!search_path.empty()) {
    const auto folder = search_path.substr(0, search_path.find(':'));
    search_path.remove_prefix(std::min(folder.size() + 1, search_path.size()));
    const auto path = std::string(folder) + "/" + std::string(name);
    if (!folder.empty() && is_executable_file(path)) return path;
  }
  return {};
}

std::string install_mend(std::string_view interpreter, std::string_view otherwise) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 26> kPackages = {
      {{"perl", "perl"},
       {"python", "python-is-python3"},
       {"python3", "python3"},
       {"php-cgi", "php-cgi"},
       {"php", "php-cli"},
       {"php-fpm", "php-fpm"},
       {"ruby", "ruby"},
       {"node", "nodejs"},
       {"nodejs", "nodejs"},
       {"npm", "npm"},
       {"npx", "npm"},
       {"bash", "bash"},
       {"ksh", "ksh"},
       {"zsh", "zsh"},
       {"lua", "lua5.4"},
       {"tclsh", "tcl"},
       {"gunicorn", "gunicorn"},
       {"uvicorn", "uvicorn"},
       {"uwsgi", "uwsgi"},
       {"starman", "starman"},
       {"plackup", "libplack-perl"},
       {"puma", "puma"},
       {"bundle", "bundler"},
       {"rackup", "ruby-rack"},
       {"java", "default-jre-headless"},
       {"flask", "python3-flask"}}};
  auto base = base_name(interpreter);
  if (base.starts_with("php-fpm")) base = "php-fpm";
  for (const auto& [name, package] : kPackages)
    if (name == base) return "apt install " + std::string(package);
  if (base == "yarn" || base == "pnpm") return "npm install -g " + std::string(base);
  return "install " + printable(base) + ", or " + std::string(otherwise);
}

Complaint what_is_missing(const std::string& path, const Executable& executable, bool interpreted,
                          std::string_view search_path) {
  const auto shown = printable(path, 400);
  if (!executable.regular) return {shown + " is not a file that could be executed", "name a program"};
  // Root may read anything; what another user may is in the bits.
  const bool denied = ::geteuid() != 0 && ::access(path.c_str(), interpreted ? R_OK : X_OK) != 0 && errno == EACCES;
  if (interpreted) {
    if (denied) return {shown + " cannot be read", "chmod +r " + shown};
    return {};
  }
  if (!executable.execute_bit) return {shown + " has no execute bit", "chmod +x " + shown};
  if (denied) return {shown + " cannot be executed by this user", "chmod a+rx " + shown};
  if (executable.kind != Executable::Kind::script) return {};
  const auto& interpreter = executable.interpreter;
  if (interpreter.empty())
    return {"the first line of " + shown + " names no interpreter after #!", "write one, such as #!/bin/sh"};
  if (executable.carriage_return)
    return {"the first line of " + shown +
                " ends in a carriage return, which the system takes for a part of the interpreter's name",
            "sed -i 's/\\r$//' " + shown};
  if (find_program(interpreter, search_path).empty()) {
    // The same interpreter elsewhere is the nearer mend.
    const auto elsewhere = executable.by_env ? std::string() : find_program(base_name(interpreter), search_path);
    return {"the interpreter " + printable(interpreter) + " of " + shown + " is not there",
            elsewhere.empty() ? install_mend(interpreter) : "write #!" + elsewhere + " in its first line"};
  }
  return {};
}

}  // namespace fivefold::config
