#include "models/module/script_selection.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/text.h"

namespace fivefold::models::module {
namespace {

using config::Language;

std::unexpected<Error> not_found(std::string_view path) {
  return fail(Code::not_found, "there is nothing at " + printable(path, 200));
}

std::string_view last_segment(std::string_view path) { return path.substr(path.rfind('/') + 1); }

bool ends_ignoring_case(std::string_view text, std::string_view end) {
  return text.size() > end.size() && equals_ignoring_case(text.substr(text.size() - end.size()), end);
}

// A name that begins with a dot is nobody's, but for /.well-known/ (RFC 8615).
bool has_hidden(std::string_view path) {
  for (std::size_t start = 0; start < path.size();) {
    const auto end = std::min(path.find('/', start), path.size());
    const auto segment = path.substr(start, end - start);
    if (segment.starts_with('.') && segment != ".well-known") return true;
    start = end + 1;
  }
  return false;
}

bool lies_in(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

}  // namespace

bool is_source(std::string_view name) {
  const auto dot = name.rfind('.');
  if (dot == std::string_view::npos) return false;
  const auto extension = name.substr(dot + 1);
  static constexpr std::array<std::string_view, 4> kSources = {"phtml", "phar", "phps", "inc"};
  if (std::ranges::any_of(kSources, [&](auto known) { return equals_ignoring_case(known, extension); })) return true;
  // php, php3 to php8, pht
  return extension.size() >= 3 && extension.size() <= 4 && equals_ignoring_case(extension.substr(0, 2), "ph") &&
         (ascii_lower(extension[2]) == 'p' || ascii_lower(extension[2]) == 't') &&
         (extension.size() == 3 || is_digit(extension[3]));
}

// One request's path, taken apart.
struct ScriptSelection::Path {
  std::string_view prefix;  // ends with '/'
  std::string_view below;   // the rest, relative to the root
  int root = -1;
};

ScriptSelection::ScriptSelection(const config::Module& settings)
    : settings_(settings), root_(settings.root), walk_(settings.symlinks, Patience::blocking) {
  while (settings_.root.size() > 1 && settings_.root.ends_with('/')) settings_.root.pop_back();
  if (settings_.extensions.empty() && settings_.language == Language::php) settings_.extensions = {".php"};
}

ScriptSelection::ScriptSelection(ScriptSelection&& other) noexcept
    : settings_(std::move(other.settings_)), root_(std::move(other.root_)), walk_(other.walk_) {}

Result<Selection> ScriptSelection::find(std::string_view prefix, std::string_view rest, net::TimePoint now) const {
  const bool application = !settings_.psgi.empty() || !settings_.wsgi.empty() || !settings_.asgi.empty();
  if (application || !settings_.script.empty()) {
    Selection selection{.script_filename = settings_.script};
    const bool folder = prefix.ends_with('/');
    selection.script_name = folder ? prefix.substr(0, prefix.size() - 1) : prefix;
    if (folder) selection.path_info = std::string("/").append(rest);
    return selection;
  }
  if (rest.find('\0') != std::string_view::npos) return not_found(rest);
  if (rest.empty() && !prefix.ends_with('/')) {  // an exact pattern: its last segment names the file
    const auto slash = prefix.rfind('/') + 1;
    rest = prefix.substr(slash);
    prefix = prefix.substr(0, slash);
  }
  return settings_.language == Language::php ? php(prefix, rest, now) : perl(prefix, rest, now);
}

// ---- PHP ----

bool ScriptSelection::is_script(std::string_view name) const {
  return std::ranges::any_of(settings_.extensions, [&](const auto& end) { return ends_ignoring_case(name, end); });
}

bool ScriptSelection::is_known(std::string_view file, net::TimePoint now) const {
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(file);
  return found != known_.end() && now < found->second;
}

void ScriptSelection::remember(std::string_view file, net::TimePoint now) const {
  const std::lock_guard lock(mutex_);
  if (known_.size() >= kMostKnown) known_.clear();
  known_.insert_or_assign(std::string(file), now + kScriptValid);
}

Result<Selection> ScriptSelection::php(std::string_view prefix, std::string_view rest, net::TimePoint now) const {
  if (has_hidden(rest)) return not_found(rest);
  // The first part that names a script which is there.
  if (settings_.worker.empty()) {
    for (std::size_t start = 0; start < rest.size();) {
      const auto end = std::min(rest.find('/', start), rest.size());
      if (is_script(rest.substr(start, end - start))) {
        const auto file = rest.substr(0, end);
        if (!is_known(file, now)) break;
        return script({prefix, rest}, file, rest.substr(end));
      }
      start = end + 1;
    }
  }
  const auto folder = root_.open(now);
  if (!folder) return std::unexpected(folder.error());
  const Path path{prefix, rest, (*folder)->get()};
  bool named_one = false;
  for (std::size_t start = 0; start < rest.size();) {
    const auto end = std::min(rest.find('/', start), rest.size());
    if (is_script(rest.substr(start, end - start))) {
      named_one = true;
      const auto file = rest.substr(0, end);
      const auto found = look(path.root, file);
      if (!found) return std::unexpected(found.error());
      if (*found == Kind::regular && settings_.worker.empty()) {
        remember(file, now);
        return script(path, file, rest.substr(end));
      }
      if (*found == Kind::missing) break;
    }
    start = end + 1;
  }
  if (!settings_.worker.empty()) {
    if (!named_one && !rest.empty() && settings_.files && !is_source(last_segment(rest))) {
      const auto found = look(path.root, rest);
      if (!found) return std::unexpected(found.error());
      if (*found == Kind::regular) return Selection{.kind = Selection::Kind::file};
    }
    return script(path, std::string_view(settings_.worker).substr(settings_.root.size() + 1), {});
  }
  for (const auto& entry : settings_.try_files) {
    if (entry == "=404") break;
    // A script that is not there is another's only where somebody has said so.
    if (named_one && entry.front() == '/' && !settings_.try_given) continue;
    auto tried = try_entry(entry, path);
    if (!tried) return std::unexpected(std::move(tried.error()));
    if (*tried) return std::move(**tried);
  }
  return not_found(rest);
}

Result<std::optional<Selection>> ScriptSelection::try_entry(const std::string& entry, const Path& path) const {
  if (entry == "{path}/") return folder(path);
  const bool is_path = entry == "{path}";
  auto file = is_path ? path.below : std::string_view(entry).substr(1);
  const bool with_path = !is_path && file.ends_with("{path}");
  if (with_path) file.remove_suffix(6);
  if (file.empty() || file.ends_with('/')) return std::nullopt;
  const auto found = look(path.root, file);
  if (!found) return std::unexpected(found.error());
  if (*found != Kind::regular) return std::nullopt;
  if (is_script(last_segment(file))) {
    auto selected = script(path, file, with_path ? std::string("/").append(path.below) : std::string());
    if (!selected) return std::unexpected(std::move(selected.error()));
    return std::move(*selected);
  }
  if (!is_path || !settings_.files || is_source(last_segment(file))) return std::nullopt;
  return Selection{.kind = Selection::Kind::file};
}

Result<std::optional<Selection>> ScriptSelection::folder(const Path& path) const {
  if (!path.below.empty()) {
    const auto found = look(path.root, path.below);
    if (!found) return std::unexpected(found.error());
    if (*found != Kind::folder) return std::nullopt;
    if (!path.below.ends_with('/')) return Selection{.kind = Selection::Kind::with_slash};
  }
  for (const auto& name : settings_.index) {
    const auto file = std::string(path.below) + name;
    const auto found = look(path.root, file);
    if (!found) return std::unexpected(found.error());
    if (*found != Kind::regular) continue;
    if (is_script(name)) {
      auto selected = script(path, file, {});
      if (!selected) return std::unexpected(std::move(selected.error()));
      return std::move(*selected);
    }
    if (settings_.files && !is_source(name)) return Selection{.kind = Selection::Kind::file};
  }
  if (settings_.files && settings_.listing) return Selection{.kind = Selection::Kind::file};
  return std::nullopt;
}

Result<Selection> ScriptSelection::script(const Path& path, std::string_view file, std::string_view path_info) const {
  for (const auto& folder : settings_.no_scripts)
    if (lies_in(file, folder)) return fail(Code::forbidden, "nothing is run beneath " + folder + " (no_scripts)");
  return Selection{.script_name = std::string(path.prefix).append(file),
                   .path_info = std::string(path_info),
                   .script_filename = (settings_.root == "/" ? "/" : settings_.root + "/").append(file)};
}

// ---- Perl: as CGI scripts are found ----

Result<Selection> ScriptSelection::perl(std::string_view prefix, std::string_view rest, net::TimePoint now) const {
  if (has_hidden(rest)) return not_found(rest);
  const auto folder = root_.open(now);
  if (!folder) return std::unexpected(folder.error());
  const Path path{prefix, rest, (*folder)->get()};
  for (std::size_t start = 0; start < rest.size();) {
    const auto end = std::min(rest.find('/', start), rest.size());
    const auto file = rest.substr(0, end);
    const auto found = look(path.root, file);
    if (!found) return std::unexpected(found.error());
    if (*found == Kind::missing) return not_found(rest);
    if (*found == Kind::regular) {
      if (!settings_.extensions.empty() && !is_script(last_segment(file))) return not_found(rest);
      return script(path, file, rest.substr(end));
    }
    start = end + 1;
  }
  return fail(Code::forbidden, printable(settings_.root + "/" + std::string(rest), 400) + " is a folder, not a script");
}

// ---- looking ----

Result<ScriptSelection::Kind> ScriptSelection::look(int root, std::string_view path) const {
  const auto file = walk_.open(root, std::string(path), O_PATH);
  if (!file) {
    const int error = file.error();
    if (error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG) return Kind::missing;
    const std::string full = printable(settings_.root + "/" + std::string(path), 400);
    if (error == EXDEV)
      return fail(
          Code::forbidden,
          full + " leads out of " + settings_.root + " by a symbolic link" +
              (settings_.language == Language::php ? "; symlinks = \"owner\" or \"follow\" would allow it" : ""));
    if (error == ELOOP)
      return settings_.symlinks == Symlinks::deny
                 ? fail(Code::forbidden, full + " leads through a symbolic link, and symlinks = \"deny\"")
                 : fail(Code::not_found, full + " is a circle of symbolic links");
    if (error == EACCES) return fail(Code::forbidden, full + " cannot be reached: Permission denied");
    return fail_errno(error, "looking for " + full,
                      error == EMFILE || error == ENFILE || error == ENOMEM ? Code::out_of_resources : Code::internal);
  }
  struct stat status{};
  if (::fstat(file->get(), &status) != 0) return fail_errno(errno, "looking at " + std::string(path));
  return S_ISREG(status.st_mode) ? Kind::regular : S_ISDIR(status.st_mode) ? Kind::folder : Kind::missing;
}

}  // namespace fivefold::models::module
