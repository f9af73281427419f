#pragma once
// A SOCK_SEQPACKET socket between two of our processes: whole messages, optionally with descriptors.
#include <sys/uio.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "net/loop.h"

namespace fivefold::net {

class Channel {
 public:
  // `received(message, fds)` runs on the loop for every message; `closed()` once, when the other end is gone.
  using Received = std::function<void(std::string_view message, std::vector<UniqueFd> fds)>;
  Channel(Loop& loop, UniqueFd fd, Received received, std::function<void()> closed);
  ~Channel();
  // Sends one message whole, now, or fails (Code::out_of_resources when the peer's queue is full). The descriptors stay
  // the caller's.
  Result<void> send(std::span<const iovec> parts, std::span<const int> fds = {});
  Result<void> send(std::string_view message, std::span<const int> fds = {});

 private:
  struct Core;
  std::shared_ptr<Core> core_;
};

// The same, blocking, for processes without a loop. `max_bytes` bounds one message.
Result<void> send_message(int socket, std::string_view message, std::span<const int> fds = {});
struct Message {
  std::string bytes;
  std::vector<UniqueFd> fds;
};
Result<Message> receive_message(int socket, std::size_t max_bytes = 1 << 20);  // Code::closed at the end

}  // namespace fivefold::net
