#pragma once
// Connections that we open: to a Unix socket or a TCP address, in clear or in TLS.
#include <sys/socket.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "net/loop.h"
#include "net/task.h"

namespace fivefold::net {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  static Result<SocketAddress> unix_path(
      const std::string& path);  // "@name" is an abstract one; Code::internal if too long
  static std::optional<SocketAddress> numeric(const std::string& host,
                                              std::uint16_t port);  // nothing when it is a name
  std::string text() const;                                         // "127.0.0.1:9000", "[::1]:9000", "unix:/x"
};

// A connected, non-blocking socket (TCP_NODELAY set), or Code::program_unavailable in words ("connect to
// 127.0.0.1:9000: Connection refused"); Code::timed_out past the deadline. A full backlog of a Unix socket (EAGAIN) is
// waited for until the deadline.
Task<Result<UniqueFd>> connect(Loop& loop, SocketAddress address, TimePoint deadline);

}  // namespace fivefold::net
