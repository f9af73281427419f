#include "process/helper_client.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "process/received_message.h"
#include "process/spawn_protocol.h"

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

bool HelperClient::try_send(std::string_view message, std::span<const int> fds) {
  if (!unsent_.empty() || fds.size() > kMaxDescriptors) return false;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxDescriptors)] = {};
  iovec part{const_cast<char*>(message.data()), message.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!fds.empty()) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* const rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(rights), fds.data(), sizeof(int) * fds.size());
  }
  return ::sendmsg(socket_.get(), &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
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
