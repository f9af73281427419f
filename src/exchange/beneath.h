#pragma once
// Opening a file that must lie beneath a folder.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace fivefold::exchange {

// The descriptor, or -1 with errno. EXDEV: the path leads out of the folder.
inline int open_beneath(int folder, const char* path, unsigned long flags) {
  constexpr int kTries = 8;  // EAGAIN: something was renamed while the kernel walked
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  long fd = -1;
  for (int i = 0; i < kTries; ++i) {
    fd = ::syscall(SYS_openat2, folder, path, &how, sizeof how);
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  return static_cast<int>(fd);
}

}  // namespace fivefold::exchange
