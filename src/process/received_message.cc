#include "process/received_message.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "process/spawn_protocol.h"

namespace fivefold::process {

ReceivedMessage::ReceivedMessage() : buffer_(kMaxMessage, '\0') {}

ssize_t ReceivedMessage::receive(int socket) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxDescriptors)];
  iovec part{buffer_.data(), buffer_.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  descriptors_.clear();
  size_ = 0;
  lost_descriptors_ = false;
  const ssize_t bytes = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (bytes < 0) return bytes;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      descriptors_.emplace_back(fd);
    }
  }
  lost_descriptors_ = (message.msg_flags & MSG_CTRUNC) != 0;
  if (message.msg_flags & MSG_TRUNC) return 0;
  size_ = static_cast<std::size_t>(bytes);
  return bytes;
}

bool is_temporary(int error) { return error == EAGAIN || error == EINTR || error == ENOMEM || error == ENOBUFS; }

}  // namespace fivefold::process
