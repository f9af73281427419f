#include "models/files/file_state.h"

#include <cerrno>

namespace fivefold::models::files {

std::expected<Looked, int> look(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return std::unexpected(errno);
  constexpr std::int64_t kSecond = 1'000'000'000;
  return Looked{.state = {.device = status.st_dev,
                          .inode = status.st_ino,
                          .modified_ns = status.st_mtim.tv_sec * kSecond + status.st_mtim.tv_nsec,
                          .changed_ns = status.st_ctim.tv_sec * kSecond + status.st_ctim.tv_nsec,
                          .size = static_cast<std::uint64_t>(status.st_size)},
                .mode = status.st_mode};
}

}  // namespace fivefold::models::files
