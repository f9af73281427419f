#pragma once
// Accepts connections from one listening socket onto one loop.
#include <sys/socket.h>

#include <functional>
#include <memory>

#include "base/unique_fd.h"
#include "net/loop.h"

namespace fivefold::net {

class Listener {
 public:
  // `accepted(fd, address, length)` runs on the loop for every connection; it owns the descriptor.
  using Accepted = std::function<void(UniqueFd, const sockaddr_storage&, socklen_t)>;
  // `fd` is a listening socket; duplicated descriptors of one socket may be given to several loops.
  Listener(Loop& loop, UniqueFd fd, Accepted accepted);
  ~Listener();
  // Stops accepting; waiting connections stay in the kernel's queue. resume() goes on.
  void pause();
  void resume();
  // Called when accept4 fails for want of descriptors or memory; accepting rests for 100 ms then.
  void on_exhausted(std::function<void(int error_number)> callback);

 private:
  struct Core;
  std::shared_ptr<Core> core_;
};

}  // namespace fivefold::net
