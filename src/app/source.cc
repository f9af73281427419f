#include "app/source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "base/unique_fd.h"
#include "config/faults.h"

namespace fivefold::app {
namespace {

constexpr std::size_t kConfigLimit = 16 * 1024 * 1024;  // a configuration larger than this is some other file

Result<std::string> read_text(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd) return fail(Code::internal, errno_text(errno));
  struct stat status{};
  if (::fstat(fd.get(), &status) == 0 && S_ISDIR(status.st_mode)) return fail(Code::internal, "it is a folder");
  std::string text;
  char piece[65536];
  while (true) {
    const ssize_t bytes = ::read(fd.get(), piece, sizeof piece);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return fail(Code::internal, errno_text(errno));
    if (bytes == 0) return text;
    text.append(piece, static_cast<std::size_t>(bytes));
    if (text.size() > kConfigLimit) return fail(Code::internal, "it is larger than 16 MiB");
  }
}

bool exists(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0;
}

bool has_error(const std::vector<config::Fault>& faults) {
  return std::any_of(faults.begin(), faults.end(),
                     [](const auto& fault) { return fault.severity == config::Fault::Severity::error; });
}

std::string toml_string(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted.push_back('\\');
    quoted.push_back(static_cast<unsigned char>(c) < 0x20 ? ' ' : c);
  }
  return quoted + "\"";
}

// --listen values, read by the same rules as those of a file. Faults name the option.
config::Loaded parse_listen(const std::vector<std::string>& values, const std::string& directory) {
  std::string text = "[server]\nlisten = [";
  for (const auto& value : values) text += toml_string(value) + ", ";
  text += "]\n[[route]]\npath = \"/*\"\nredirect = { to = \"/\" }\n";
  auto loaded = config::parse(text, "--listen", directory);
  std::erase_if(loaded.faults, [](const auto& fault) { return fault.position.line != 2; });
  for (auto& fault : loaded.faults) fault.position.line = fault.position.column = 0;
  return loaded;
}

}  // namespace

std::string absolute_path(const std::string& path) {
  std::error_code error;
  auto absolute = std::filesystem::absolute(path, error).lexically_normal().string();
  while (absolute.size() > 1 && absolute.ends_with('/')) absolute.pop_back();
  return error ? path : absolute;
}

std::string default_config_path() {
  return exists(kConfigName) || !exists(kSystemConfig) ? kConfigName : kSystemConfig;
}

ConfigSource ConfigSource::file(std::string path) {
  ConfigSource source;
  source.path_ = absolute_path(path);
  return source;
}

ConfigSource ConfigSource::folder(std::string directory, std::vector<std::string> listen) {
  ConfigSource source;
  source.path_ = absolute_path(directory);
  source.listen_ = std::move(listen);
  source.folder_ = true;
  return source;
}

ReadConfig ConfigSource::read() const {
  ReadConfig result;
  const auto file = folder_ ? path_ + "/" + kConfigName : path_;
  const auto cannot = [&](const std::string& name, const std::string& why, const std::string& mend) {
    result.loaded.config.reset();
    result.loaded.faults.push_back({.severity = config::Fault::Severity::error,
                                    .position = {.file = name},
                                    .message = "cannot be read: " + why,
                                    .mend = mend});
  };
  result.file = file;
  result.directory = folder_ ? path_ : file.substr(0, std::max<std::size_t>(file.rfind('/'), 1));
  if (folder_) {
    struct stat status{};
    if (::stat(path_.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
      cannot(path_, errno ? errno_text(errno) : "it is no folder", "name a folder to serve");
      return result;
    }
  }
  if (folder_ && !exists(file)) {
    auto folder = config::read_folder(path_, listen_);
    result.text = std::move(folder.toml);
    result.found = std::move(folder.found);
    result.folder = true;
    result.file = path_;
  } else {
    auto text = read_text(file);
    if (!text) {
      cannot(file, text.error().message,
             "give the configuration with --config FILE, or serve a folder without one: fivefold serve DIR");
      return result;
    }
    result.text = std::move(*text);
  }
  result.loaded = config::parse(result.text, result.file, result.directory);
  if (!listen_.empty() && !result.folder) {
    auto listen = parse_listen(listen_, result.directory);
    if (listen.config && result.loaded.config) result.loaded.config->server.listen = listen.config->server.listen;
    for (auto& fault : listen.faults) result.loaded.faults.push_back(std::move(fault));
  }
  for (auto& fault : config::inspect(result.loaded)) result.loaded.faults.push_back(std::move(fault));
  config::sort_by_place(result.loaded.faults);
  if (has_error(result.loaded.faults)) result.loaded.config.reset();
  return result;
}

}  // namespace fivefold::app
