#include "config/load.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include "base/error.h"
#include "base/unique_fd.h"
#include "config/document.h"
#include "config/faults.h"

namespace fivefold::config {
namespace {

// The whole file; what went wrong else. Anything larger than a configuration can be is left for parse() to refuse.
std::expected<std::string, std::string> read_file(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return std::unexpected(errno_text(errno));
  struct stat status{};
  if (::fstat(file.get(), &status) == 0 && S_ISDIR(status.st_mode)) return std::unexpected(errno_text(EISDIR));
  std::string text;
  std::array<char, 65536> buffer;
  while (text.size() <= kMaxDocumentSize) {
    const auto count = ::read(file.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::unexpected(errno_text(errno));
    if (count == 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
  return text;
}

std::string folder_of(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code why;
  const auto whole = fs::absolute(path, why);
  const auto folder = fs::canonical(whole.parent_path(), why);
  return why ? whole.parent_path().string() : folder.string();
}

}  // namespace

std::vector<Fault> inspect(const Loaded& loaded) {
  if (loaded.config) return inspect(*loaded.config);
  if (!loaded.partial) return {};
  auto found = inspect(*loaded.partial);
  std::erase_if(found, [&](const Fault& fault) {
    return fault.position.line == 0 || std::ranges::any_of(loaded.faults, [&](const Fault& told) {
             return told.position.line == fault.position.line;
           });
  });
  return found;
}

Loaded load(const std::string& path) {
  const auto text = read_file(path);
  if (!text) {
    Loaded loaded;
    loaded.faults.push_back({Fault::Severity::error,
                             {path, 0, 0},
                             "the configuration cannot be read: " + text.error(),
                             "name it with --config FILE, or start a folder without one: fivefold serve DIR"});
    return loaded;
  }
  Loaded loaded = parse(*text, path, folder_of(path));
  auto found = inspect(loaded);
  const bool failed =
      std::ranges::any_of(found, [](const Fault& fault) { return fault.severity == Fault::Severity::error; });
  loaded.faults.insert(loaded.faults.end(), std::make_move_iterator(found.begin()),
                       std::make_move_iterator(found.end()));
  sort_by_place(loaded.faults);
  if (failed) loaded.config.reset();
  return loaded;
}

}  // namespace fivefold::config
