#pragma once
// A file or folder as it is at one moment.
#include <sys/stat.h>

#include <cstdint>
#include <expected>

namespace fivefold::models::files {

// What tells one state of a file from another. Two equal ones are taken for the same content.
struct FileState {
  dev_t device = 0;
  ino_t inode = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;
  std::uint64_t size = 0;
  bool operator==(const FileState&) const = default;
};

struct Looked {
  FileState state;
  mode_t mode = 0;
};
std::expected<Looked, int> look(int fd);

}  // namespace fivefold::models::files
