#include "net/connect.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "net/readiness.h"
#include "net/short_timer.h"

namespace fivefold::net {
namespace {

using std::chrono::microseconds;

// A Unix socket whose backlog is full says EAGAIN and nothing tells when there is room again.
constexpr microseconds kFirstRetry{1000};
constexpr microseconds kLongestRetry{50'000};

// co_await Pause(loop, duration): a short wait; may be destroyed meanwhile.
class [[nodiscard]] Pause {
 public:
  Pause(Loop& loop, microseconds duration) : timer_(loop, &Pause::fire, this), duration_(duration) {}
  Pause(const Pause&) = delete;
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> awaiting) {
    awaiting_ = awaiting;
    timer_.set(duration_);
  }
  void await_resume() const {}

 private:
  static void fire(void* self) { static_cast<Pause*>(self)->awaiting_.resume(); }
  ShortTimer timer_;
  microseconds duration_;
  std::coroutine_handle<> awaiting_;
};

Result<UniqueFd> open_socket(const SocketAddress& address) {
  const int family = address.storage.ss_family;
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) {
    const bool exhausted = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
    return fail_errno(errno, "open a socket to connect to " + address.text(),
                      exhausted ? Code::out_of_resources : Code::program_unavailable);
  }
  if (family == AF_INET || family == AF_INET6) {
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  return fd;
}

// The errno of one connect(2), 0 when connected. On a socket that is connecting, another call tells how far it is:
// connected, EALREADY, or why it failed.
int try_connect(int fd, const SocketAddress& address) {
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.length) == 0) return 0;
  return errno == EISCONN ? 0 : errno;
}

bool is_under_way(int error) { return error == EINPROGRESS || error == EALREADY || error == EINTR; }

// With nobody listening on a port of the ephemeral range, the kernel may choose that very port for our end, and the
// socket is connected to itself (simultaneous open, RFC 9293 section 3.5). It would also keep the application from
// listening there.
bool is_connected_to_itself(int fd, const SocketAddress& address) {
  if (address.storage.ss_family == AF_UNIX) return false;
  SocketAddress own;
  own.length = sizeof own.storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&own.storage), &own.length) != 0) return false;
  if (own.storage.ss_family != address.storage.ss_family) return false;
  if (own.storage.ss_family == AF_INET) {
    const auto& a = reinterpret_cast<const sockaddr_in&>(own.storage);
    const auto& b = reinterpret_cast<const sockaddr_in&>(address.storage);
    return a.sin_port == b.sin_port && a.sin_addr.s_addr == b.sin_addr.s_addr;
  }
  const auto& a = reinterpret_cast<const sockaddr_in6&>(own.storage);
  const auto& b = reinterpret_cast<const sockaddr_in6&>(address.storage);
  return a.sin6_port == b.sin6_port && std::memcmp(&a.sin6_addr, &b.sin6_addr, sizeof a.sin6_addr) == 0;
}

std::unexpected<Error> too_late(const SocketAddress& address) {
  return fail(Code::timed_out, fmt::format("connect to {}: no answer in time", address.text()));
}

}  // namespace

Result<SocketAddress> SocketAddress::unix_path(const std::string& path) {
  SocketAddress address;
  auto& name = reinterpret_cast<sockaddr_un&>(address.storage);
  name.sun_family = AF_UNIX;
  const bool abstract = path.starts_with('@');
  // A path ends with a zero byte, an abstract name begins with one instead of its '@'.
  const std::size_t most = abstract ? sizeof name.sun_path : sizeof name.sun_path - 1;
  if (path.empty() || path == "@") return fail(Code::internal, "a Unix socket needs a path or a name");
  if (path.size() > most)
    return fail(Code::internal,
                fmt::format("the path of the Unix socket is too long ({} bytes; the system takes {}): {}", path.size(),
                            most, path));
  if (path.find('\0') != std::string::npos)
    return fail(Code::internal, "the path of a Unix socket contains a zero byte");
  std::memcpy(name.sun_path, path.data(), path.size());
  if (abstract) name.sun_path[0] = '\0';
  address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1));
  return address;
}

std::optional<SocketAddress> SocketAddress::numeric(const std::string& host, std::uint16_t port) {
  SocketAddress address;
  auto& four = reinterpret_cast<sockaddr_in&>(address.storage);
  if (::inet_pton(AF_INET, host.c_str(), &four.sin_addr) == 1) {
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    address.length = sizeof four;
    return address;
  }
  address = SocketAddress{};
  auto& six = reinterpret_cast<sockaddr_in6&>(address.storage);
  const auto percent = host.find('%');  // a zone: fe80::1%eth0
  if (::inet_pton(AF_INET6, host.substr(0, percent).c_str(), &six.sin6_addr) != 1) return std::nullopt;
  if (percent != std::string::npos) {
    six.sin6_scope_id = ::if_nametoindex(host.c_str() + percent + 1);
    if (six.sin6_scope_id == 0) return std::nullopt;
  }
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  address.length = sizeof six;
  return address;
}

std::string SocketAddress::text() const {
  char host[INET6_ADDRSTRLEN] = "";
  switch (storage.ss_family) {
    case AF_INET: {
      const auto& four = reinterpret_cast<const sockaddr_in&>(storage);
      ::inet_ntop(AF_INET, &four.sin_addr, host, sizeof host);
      return fmt::format("{}:{}", host, ntohs(four.sin_port));
    }
    case AF_INET6: {
      const auto& six = reinterpret_cast<const sockaddr_in6&>(storage);
      ::inet_ntop(AF_INET6, &six.sin6_addr, host, sizeof host);
      char zone[IF_NAMESIZE] = "";
      if (six.sin6_scope_id != 0 && ::if_indextoname(six.sin6_scope_id, zone))
        return fmt::format("[{}%{}]:{}", host, zone, ntohs(six.sin6_port));
      return fmt::format("[{}]:{}", host, ntohs(six.sin6_port));
    }
    case AF_UNIX: {
      const auto& name = reinterpret_cast<const sockaddr_un&>(storage);
      const std::size_t size = length - offsetof(sockaddr_un, sun_path);
      if (size > 0 && name.sun_path[0] == '\0') return "unix:@" + std::string(name.sun_path + 1, size - 1);
      return "unix:" + std::string(name.sun_path, ::strnlen(name.sun_path, size));
    }
    default:
      return "(no address)";
  }
}

Task<Result<UniqueFd>> connect(Loop& loop, SocketAddress address, TimePoint deadline) {
  auto socket = open_socket(address);
  if (!socket) co_return std::unexpected(std::move(socket.error()));
  UniqueFd fd = std::move(*socket);
  microseconds pause = kFirstRetry;
  int error = try_connect(fd.get(), address);
  while (error == EAGAIN && address.storage.ss_family == AF_UNIX) {
    const auto left = std::chrono::ceil<microseconds>(deadline - loop.now());
    if (left <= microseconds::zero()) co_return too_late(address);
    co_await Pause(loop, std::min(pause, left));
    pause = std::min(pause * 2, kLongestRetry);
    error = try_connect(fd.get(), address);
  }
  // Over loopback the answer has come by now, although the first call did not wait for it.
  if (is_under_way(error)) error = try_connect(fd.get(), address);
  if (is_under_way(error)) {
    detail::Descriptor::Asio descriptor(loop.context());
    boost::system::error_code failure;
    descriptor.assign(fd.get(), failure);
    if (failure)
      co_return fail_errno(failure.value(), "wait for the connection to " + address.text(), Code::out_of_resources);
    (void)fd.release();
    while (is_under_way(error)) {
      const bool ready = co_await detail::Readiness(loop, descriptor, detail::Descriptor::Asio::wait_write, deadline);
      if (!ready) co_return too_late(address);
      error = try_connect(descriptor.native_handle(), address);
    }
    fd.reset(descriptor.release());
  }
  if (error == 0 && is_connected_to_itself(fd.get(), address)) error = ECONNREFUSED;
  if (error != 0) co_return fail_errno(error, "connect to " + address.text(), Code::program_unavailable);
  co_return fd;
}

}  // namespace fivefold::net
