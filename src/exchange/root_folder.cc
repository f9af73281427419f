#include "exchange/root_folder.h"

#include <fcntl.h>

#include <cerrno>

namespace fivefold::exchange {

Result<std::shared_ptr<const UniqueFd>> RootFolder::open(net::TimePoint now) const {
  const std::lock_guard lock(mutex_);
  if (folder_ && now - opened_ < kValid) return folder_;
  const int fd = ::open(path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    folder_.reset();
    return fail_errno(errno, "opening the program's root " + path_,
                      errno == EMFILE || errno == ENFILE ? Code::out_of_resources : Code::internal);
  }
  folder_ = std::make_shared<const UniqueFd>(fd);
  opened_ = now;
  return folder_;
}

}  // namespace fivefold::exchange
