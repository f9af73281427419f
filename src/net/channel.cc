#include "net/channel.h"

#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <cerrno>
#include <cstring>

namespace fivefold::net {
namespace {

constexpr std::size_t kMaxDescriptors = 250;  // the kernel takes at most 253 in one message
constexpr std::size_t kMaxMessage = 1 << 20;
constexpr int kMessagesPerTurn = 64;

// One recvmsg. The number of bytes, 0 at the end, -1 with errno.
ssize_t receive(int socket, std::string& buffer, std::vector<UniqueFd>& fds, int flags) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxDescriptors)];
  iovec part{buffer.data(), buffer.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t bytes = ::recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
  if (bytes < 0) return bytes;
  for (cmsghdr* part_header = CMSG_FIRSTHDR(&message); part_header; part_header = CMSG_NXTHDR(&message, part_header)) {
    if (part_header->cmsg_level != SOL_SOCKET || part_header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part_header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part_header) + i * sizeof(int), sizeof fd);
      fds.emplace_back(fd);
    }
  }
  return bytes;
}

Result<void> transmit(int socket, std::span<const iovec> parts, std::span<const int> fds, int flags) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxDescriptors)];
  if (fds.size() > kMaxDescriptors) return fail(Code::internal, "too many descriptors for one message");
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts.data());
  message.msg_iovlen = parts.size();
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
  }
  while (::sendmsg(socket, &message, MSG_NOSIGNAL | flags) < 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ETOOMANYREFS)
      return fail_errno(errno, "sending to another process of the server", Code::out_of_resources);
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
      return fail_errno(errno, "sending to another process of the server", Code::closed);
    return fail_errno(errno, "sending to another process of the server");
  }
  return {};
}

}  // namespace

struct Channel::Core : std::enable_shared_from_this<Core> {
  using Descriptor = boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type>;
  Core(Loop& loop, UniqueFd fd, Received r, std::function<void()> c)
      : descriptor(loop.context(), fd.release()), received(std::move(r)), closed(std::move(c)) {}

  void wait() {
    descriptor.async_wait(Descriptor::wait_read, [self = shared_from_this()](const boost::system::error_code& error) {
      if (!error && !self->gone) self->read();
    });
  }

  void read() {
    if (buffer.empty()) buffer.resize(kMaxMessage);
    for (int i = 0; i < kMessagesPerTurn; ++i) {
      std::vector<UniqueFd> fds;
      const ssize_t bytes = receive(descriptor.native_handle(), buffer, fds, MSG_DONTWAIT);
      if (bytes < 0 && errno == EINTR) continue;
      if (bytes < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
      if (bytes <= 0) {
        gone = true;
        const auto callback = std::move(closed);
        if (callback) callback();
        return;
      }
      received(std::string_view(buffer.data(), static_cast<std::size_t>(bytes)), std::move(fds));
      if (gone) return;
    }
    wait();
  }

  Descriptor descriptor;
  Received received;
  std::function<void()> closed;
  std::string buffer;
  bool gone = false;
};

Channel::Channel(Loop& loop, UniqueFd fd, Received received, std::function<void()> closed)
    : core_(std::make_shared<Core>(loop, std::move(fd), std::move(received), std::move(closed))) {
  core_->wait();
}

Channel::~Channel() {
  core_->gone = true;
  boost::system::error_code ignored;
  core_->descriptor.close(ignored);
}

Result<void> Channel::send(std::span<const iovec> parts, std::span<const int> fds) {
  return transmit(core_->descriptor.native_handle(), parts, fds, MSG_DONTWAIT);
}

Result<void> Channel::send(std::string_view message, std::span<const int> fds) {
  const iovec part{const_cast<char*>(message.data()), message.size()};
  return send(std::span(&part, 1), fds);
}

Result<void> send_message(int socket, std::string_view message, std::span<const int> fds) {
  const iovec part{const_cast<char*>(message.data()), message.size()};
  while (true) {
    auto sent = transmit(socket, std::span(&part, 1), fds, 0);
    if (sent || sent.error().code != Code::out_of_resources) return sent;
    pollfd wait{socket, POLLOUT, 0};
    if (::poll(&wait, 1, 5000) <= 0) return sent;
  }
}

Result<Message> receive_message(int socket, std::size_t max_bytes) {
  Message message;
  message.bytes.resize(max_bytes);
  while (true) {
    const ssize_t bytes = receive(socket, message.bytes, message.fds, 0);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      pollfd wait{socket, POLLIN, 0};
      ::poll(&wait, 1, -1);
      continue;
    }
    if (bytes < 0 && errno != ECONNRESET) return fail_errno(errno, "receiving from another process of the server");
    if (bytes <= 0) return fail(Code::closed, "the other process of the server is gone");
    message.bytes.resize(static_cast<std::size_t>(bytes));
    return message;
  }
}

}  // namespace fivefold::net
