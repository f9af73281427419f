#include "config/inspection.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "config/executable.h"
#include "config/faults.h"

namespace fivefold::config {
namespace {

namespace fs = std::filesystem;

template <class Entry, class Get, class Key>
std::optional<std::string> account_name(Get get, Key key, char* Entry::* name) {
  std::vector<char> buffer(64 * 1024);
  Entry entry{};
  Entry* found = nullptr;
  if (get(key, &entry, buffer.data(), buffer.size(), &found) != 0 || !found) return std::nullopt;
  return std::string(found->*name);
}

std::optional<std::string> user_name(uid_t uid) { return account_name(::getpwuid_r, uid, &passwd::pw_name); }

bool user_exists(const std::string& user) {
  return parse_decimal(user) || account_name(::getpwnam_r, user.c_str(), &passwd::pw_name);
}

bool group_exists(const std::string& group) {
  return parse_decimal(group) || account_name(::getgrnam_r, group.c_str(), &group::gr_name);
}

}  // namespace

bool is_root() { return ::geteuid() == 0; }

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string search_path_of(const Program& program) {
  std::string path(kSearchPath);
  for (const auto& [variable, value] : program.env)
    if (variable == "PATH") path = value;
  return path;
}

std::vector<Fault> Inspection::take() {
  sort_by_place(faults_);
  return std::move(faults_);
}

void Inspection::error(const Position& position, std::string message, std::string mend) {
  faults_.push_back({Fault::Severity::error, position, std::move(message), std::move(mend)});
}

void Inspection::warning(const Position& position, std::string message, std::string mend) {
  faults_.push_back({Fault::Severity::warning, position, std::move(message), std::move(mend)});
}

Position Inspection::position(const std::string& key, const Position& fallback) const {
  const auto found = config_.positions.find(key);
  if (found != config_.positions.end()) return found->second;
  return fallback.file.empty() ? Position{config_.file, 0, 0} : fallback;
}

std::string Inspection::owner() const {
  if (is_root()) return config_.server.user.empty() ? "www-data" : config_.server.user;
  return user_name(::geteuid()).value_or(std::to_string(::geteuid()));
}

bool Inspection::folder(const std::string& path, const Position& where, const std::string& what) {
  std::error_code why;
  const auto status = fs::status(path, why);
  if (status.type() == fs::file_type::not_found) {
    error(where, what + ", " + printable(path, 400) + ", is not there",
          "mkdir -p " + printable(path, 400) + ", or correct the path");
  } else if (!fs::exists(status)) {
    error(where, what + ", " + printable(path, 400) + ", cannot be reached: " + why.message(),
          "give the server's user access to the folders above it");
  } else if (!fs::is_directory(status)) {
    error(where, what + ", " + printable(path, 400) + ", is not a folder", "name the folder it lies in");
  } else if (!is_root() && ::access(path.c_str(), R_OK | X_OK) != 0) {
    error(where, what + ", " + printable(path, 400) + ", cannot be read by this user",
          "chmod a+rx " + printable(path, 400));
  } else {
    return true;
  }
  return false;
}

bool Inspection::writable_folder(const std::string& path, const Position& where, const std::string& what) {
  const auto shown = printable(path, 400);
  const auto mend = "sudo mkdir -p " + shown + " && sudo chown " + owner() + " " + shown;
  std::error_code why;
  const auto status = fs::status(path, why);
  if (!fs::exists(status))
    error(where, "the folder " + shown + " of " + what + " is not there", mend);
  else if (!fs::is_directory(status))
    error(where, shown + " of " + what + " is not a folder", "choose another path");
  else if (::access(path.c_str(), W_OK | X_OK) != 0)
    error(where, "the folder " + shown + " of " + what + " cannot be written to: " + errno_text(errno),
          "choose another folder, or let " + owner() + " write to this one");
  else
    return true;
  return false;
}

bool Inspection::readable_file(const std::string& path, const Position& where, const std::string& what) {
  std::error_code why;
  if (!fs::is_regular_file(path, why))
    error(where, what + ", " + printable(path, 400) + ", is not there or not a file", "make it, or correct the path");
  else if (::access(path.c_str(), R_OK) != 0)
    error(where, what + ", " + printable(path, 400) + ", cannot be read: " + errno_text(errno),
          "chmod a+r " + printable(path, 400));
  else
    return true;
  return false;
}

void Inspection::accounts(const std::string& user, const std::string& group, const std::string& where,
                          const std::string& key) {
  if (!is_root()) return;
  if (!user.empty() && !user_exists(user))
    error(position(key + ".user"), "there is no user " + printable(user) + " on this machine, whom " + where + " names",
          "sudo adduser --system " + printable(user) + ", or name another");
  if (!group.empty() && !group_exists(group))
    error(position(key + ".group"),
          "there is no group " + printable(group) + " on this machine, which " + where + " names",
          "sudo addgroup --system " + printable(group) + ", or name another");
}

}  // namespace fivefold::config
