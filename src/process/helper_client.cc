#include "process/helper_client.h"

#include <sys/socket.h>

#include <cerrno>

#include "process/received_message.h"

namespace fivefold::process {
namespace {

constexpr std::size_t kMaxUnsentReplies = 65536;  // a client that reads no replies is dropped then

}  // namespace

bool HelperClient::reply(std::string_view message) {
  if (unsent_.empty()) {
    if (::send(socket_.get(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return true;
    if (errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM)
      return true;  // it is gone; its end of file comes by epoll
    events_.change(socket_.get(), EPOLLIN | EPOLLOUT, token_);
  }
  unsent_.emplace_back(message);
  return unsent_.size() <= kMaxUnsentReplies;
}

bool HelperClient::send_unsent() {
  while (!unsent_.empty()) {
    const std::string& message = unsent_.front();
    if (::send(socket_.get(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
      return is_temporary(errno);
    unsent_.pop_front();
  }
  return events_.change(socket_.get(), EPOLLIN, token_);
}

}  // namespace fivefold::process
