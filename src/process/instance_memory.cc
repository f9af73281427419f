#include "process/instance_memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>

#include "base/text.h"
#include "base/unique_fd.h"

namespace fivefold::process {

std::optional<std::uint64_t> resident_memory(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/statm";
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return std::nullopt;
  std::array<char, 256> buffer;
  const ssize_t read = ::read(file.get(), buffer.data(), buffer.size());
  if (read <= 0) return std::nullopt;
  std::string_view line(buffer.data(), static_cast<std::size_t>(read));  // "size resident shared ..."
  const auto first = line.find(' ');
  if (first == std::string_view::npos) return std::nullopt;
  line.remove_prefix(first + 1);
  const auto pages = parse_decimal(line.substr(0, line.find(' ')));
  if (!pages) return std::nullopt;
  return *pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace fivefold::process
