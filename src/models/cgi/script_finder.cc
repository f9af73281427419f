#include "models/cgi/script_finder.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/text.h"
#include "exchange/beneath.h"

namespace fivefold::models::cgi {
namespace {

std::string folder_of(const std::string& file) {
  const auto slash = file.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : file.substr(0, slash);
}

std::unexpected<Error> not_found(std::string_view path) {
  return fail(Code::not_found, "there is no script " + printable(path, 200));
}

}  // namespace

ScriptFinder::ScriptFinder(const config::Cgi& settings) : settings_(settings), root_(settings.root) {
  while (settings_.root.size() > 1 && settings_.root.ends_with('/')) settings_.root.pop_back();
}

Result<Script> ScriptFinder::find(std::string_view prefix, std::string_view rest, net::TimePoint now) const {
  if (settings_.script.empty()) return below_root(prefix, rest, now);
  // One program answers every path: what the route names is its SCRIPT_NAME. That it is there and executable, starting
  // it will tell.
  Script script{.file = settings_.script, .directory = folder_of(settings_.script)};
  const bool folder = prefix.ends_with('/');
  script.name = folder ? prefix.substr(0, prefix.size() - 1) : prefix;
  if (folder) script.path_info = std::string("/").append(rest);
  return script;
}

Result<Script> ScriptFinder::below_root(std::string_view prefix, std::string_view rest, net::TimePoint now) const {
  if (rest.empty() && !prefix.ends_with('/')) {  // an exact pattern: its last segment names the script
    const auto slash = prefix.rfind('/') + 1;
    rest = prefix.substr(slash);
    prefix = prefix.substr(0, slash);
  }
  const auto folder = root_.open(now);
  if (!folder) return std::unexpected(folder.error());

  for (std::size_t start = 0; start < rest.size();) {
    auto end = rest.find('/', start);
    if (end == std::string_view::npos) end = rest.size();
    // Hidden files are nobody's scripts: .git/hooks holds executable ones.
    if (rest[start] == '.') return not_found(rest);
    std::string path(rest.substr(0, end));
    const auto found = look((*folder)->get(), path);
    if (!found) return std::unexpected(found.error());
    if (found->kind == Kind::missing) return not_found(rest);
    if (found->kind == Kind::regular) return accept(prefix, std::move(path), rest.substr(end), found->mode);
    if (end == rest.size()) return fail(Code::forbidden, settings_.root + "/" + path + " is a folder, not a script");
    start = end + 1;
  }
  return index_of((*folder)->get(), prefix, std::string(rest));
}

Result<Script> ScriptFinder::index_of(int root, std::string_view prefix, std::string folder) const {
  for (const auto& name : settings_.index) {
    const auto found = look(root, folder + name);
    if (found && found->kind == Kind::regular) return accept(prefix, folder + name, {}, found->mode);
  }
  return fail(Code::forbidden, settings_.root + "/" + folder + " is a folder and has no index script");
}

Result<Script> ScriptFinder::accept(std::string_view prefix, std::string path, std::string_view path_info,
                                    unsigned mode) const {
  const auto has_ending = [&path](const std::string& ending) { return path.ends_with(ending); };
  if (!settings_.extensions.empty() && std::ranges::none_of(settings_.extensions, has_ending)) return not_found(path);
  Script script{.file = settings_.root == "/" ? "/" + path : settings_.root + "/" + path};
  if (settings_.interpreter.empty() && (mode & 0111) == 0)
    return fail(Code::forbidden, script.file + " is not executable; run: chmod +x " + script.file);
  script.directory = folder_of(script.file);
  script.name = std::string(prefix).append(path);
  script.path_info = path_info;
  return script;
}

Result<ScriptFinder::Look> ScriptFinder::look(int root, const std::string& path) const {
  const UniqueFd file(exchange::open_beneath(root, path.c_str(), O_PATH));
  if (!file) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG) return Look{Kind::missing, 0};
    const std::string full = settings_.root + "/" + path;
    if (error == EXDEV || error == ELOOP)
      return fail(Code::forbidden, full + " leads out of " + settings_.root + " by a symbolic link");
    if (error == EACCES) return fail(Code::forbidden, full + " cannot be reached: Permission denied");
    return fail_errno(error, "looking for " + full,
                      error == EMFILE || error == ENFILE || error == ENOMEM ? Code::out_of_resources : Code::internal);
  }
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return fail_errno(errno, "looking at " + path);
  if (S_ISREG(status.st_mode)) return Look{Kind::regular, status.st_mode};
  if (S_ISDIR(status.st_mode)) return Look{Kind::folder, status.st_mode};
  return fail(Code::forbidden, settings_.root + "/" + path + " is neither a file nor a folder");
}

}  // namespace fivefold::models::cgi
