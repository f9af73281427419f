#include "app/keeper/listeners.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

namespace fivefold::app {
namespace {

constexpr const char* kEveryIpv4 = "0.0.0.0";
constexpr const char* kEveryIpv6 = "::";

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = sizeof(sockaddr_storage);
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

std::string with_port(const std::string& host, std::uint16_t port) {
  const bool ipv6 = host.find(':') != std::string::npos;
  return (ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::uint16_t port_of(const SocketAddress& address) {
  if (address.storage.ss_family == AF_INET6)
    return ntohs(reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_port);
  return ntohs(reinterpret_cast<const sockaddr_in&>(address.storage).sin_port);
}

void set_port(SocketAddress& address, std::uint16_t port) {
  if (address.storage.ss_family == AF_INET6)
    reinterpret_cast<sockaddr_in6&>(address.storage).sin6_port = htons(port);
  else
    reinterpret_cast<sockaddr_in&>(address.storage).sin_port = htons(port);
}

std::string name_of(const SocketAddress& address) {
  char host[INET6_ADDRSTRLEN + 32] = {};
  if (address.storage.ss_family == AF_INET || address.storage.ss_family == AF_INET6) {
    if (::getnameinfo(address.get(), address.length, host, sizeof host, nullptr, 0, NI_NUMERICHOST) != 0) return "?";
    return "http://" + with_port(host, port_of(address));
  }
  if (address.storage.ss_family == AF_UNIX) {
    const auto& local = reinterpret_cast<const sockaddr_un&>(address.storage);
    const auto length = address.length - offsetof(sockaddr_un, sun_path);
    if (length > 0 && local.sun_path[0] == '\0') return "unix:@" + std::string(local.sun_path + 1, length - 1);
    return "unix:" + std::string(local.sun_path, ::strnlen(local.sun_path, length));
  }
  return "?";
}

bool local_address(int fd, SocketAddress& address) { return ::getsockname(fd, address.get(), &address.length) == 0; }

// The numeric form of a host, or what "localhost" and other names of this machine mean.
Result<SocketAddress> resolve(const config::Listen& listen) {
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const auto port = std::to_string(listen.port);
  if (const int error = ::getaddrinfo(listen.host.c_str(), port.c_str(), &hints, &found); error != 0)
    return fail(Code::internal, "cannot listen on " + listen.address + ": \"" + listen.host +
                                    "\" is no address of this machine (" + ::gai_strerror(error) +
                                    "); write a number such as 127.0.0.1 or [::1]");
  SocketAddress address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.length = found->ai_addrlen;
  ::freeaddrinfo(found);
  return address;
}

std::string bind_mend(int error, const config::Listen& listen) {
  switch (error) {
    case EADDRINUSE:
      return "; another program listens there already: stop it, or choose another port (`ss -ltnp` shows who it is)";
    case EACCES:
      return "; ports below 1024 need root, the capability CAP_NET_BIND_SERVICE, or a service manager that passes the "
             "socket; or choose a port above 1023";
    case EADDRNOTAVAIL:
      return "; no interface of this machine has the address " + listen.host + " (`ip addr` lists them)";
    case EMFILE:
    case ENFILE:
      return "; raise the limit of open files (`ulimit -n`)";
    default:
      return {};
  }
}

Result<UniqueFd> tcp_socket(const SocketAddress& address, const config::Listen& listen, bool reuse_port) {
  UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno(errno, "cannot open a socket for " + listen.address);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (reuse_port) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (address.storage.ss_family == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // accepted connections inherit it
  if (::bind(fd.get(), address.get(), address.length) != 0) {
    const int error = errno;
    return fail(error == EADDRINUSE ? Code::out_of_resources : Code::internal,
                "cannot listen on " + listen.address + ": " + errno_text(error) + bind_mend(error, listen));
  }
  return fd;
}

// `ours`: a listener of our own has this port, on another address; whoever else has it cannot be told apart then.
Result<std::shared_ptr<BoundSocket>> open_tcp(const config::Listen& listen, unsigned count, bool ours) {
  auto address = resolve(listen);
  if (!address) return std::unexpected(address.error());
  // SO_REUSEPORT would let a second server of the same user take half of the connections unnoticed: a socket without it
  // asks first.
  if (listen.port != 0 && !ours) {
    auto probe = tcp_socket(*address, listen, false);
    if (!probe) return std::unexpected(probe.error());
    if (::listen(probe->get(), 1) != 0)
      return fail(Code::internal,
                  "cannot listen on " + listen.address + ": " + errno_text(errno) + bind_mend(errno, listen));
  }
  auto result = std::make_shared<BoundSocket>();
  for (unsigned i = 0; i < std::max(count, 1u); ++i) {
    auto fd = tcp_socket(*address, listen, true);
    if (!fd) return std::unexpected(fd.error());
    if (i == 0) {
      SocketAddress real;
      if (!local_address(fd->get(), real)) return fail_errno(errno, "cannot find the address of " + listen.address);
      set_port(*address, port_of(real));  // the kernel's choice for port 0 holds for all
      result->bound = name_of(real);
    }
    result->fds.push_back(std::move(*fd));
  }
  // Listening comes last: no connection lands in a queue before all of them are there.
  for (const auto& fd : result->fds)
    if (::listen(fd.get(), static_cast<int>(listen.backlog)) != 0)
      return fail(Code::internal,
                  "cannot listen on " + listen.address + ": " + errno_text(errno) + bind_mend(errno, listen));
  return result;
}

}  // namespace

BoundSocket::~BoundSocket() {
  if (unix_path.empty()) return;
  struct stat now{};
  if (::lstat(unix_path.c_str(), &now) == 0 && now.st_dev == device && now.st_ino == inode) ::unlink(unix_path.c_str());
}

std::vector<config::Listen> one_per_socket(const std::vector<config::Listen>& listen) {
  std::vector<config::Listen> result;
  const auto add = [&](config::Listen entry) {
    for (const auto& other : result)
      if (other.address == entry.address) return;
    result.push_back(std::move(entry));
  };
  for (const auto& entry : listen) {
    if (!entry.unix_path.empty()) {
      auto one = entry;
      one.address = "unix:" + entry.unix_path;
      add(std::move(one));
    } else if (entry.host.empty() || entry.host == "*") {
      for (const char* host : {kEveryIpv4, kEveryIpv6}) {
        auto one = entry;
        one.host = host;
        one.address = with_port(host, entry.port);
        add(std::move(one));
      }
    } else {
      auto one = entry;
      one.address = with_port(entry.host, entry.port);
      add(std::move(one));
    }
  }
  return result;
}

ListenerChange compare(const std::vector<config::Listen>& current, const std::vector<config::Listen>& wanted) {
  ListenerChange change;
  const auto has = [](const std::vector<config::Listen>& list, const std::string& address) {
    return std::any_of(list.begin(), list.end(), [&](const auto& entry) { return entry.address == address; });
  };
  for (const auto& entry : wanted) (has(current, entry.address) ? change.kept : change.added).push_back(entry.address);
  for (const auto& entry : current)
    if (!has(wanted, entry.address)) change.removed.push_back(entry.address);
  return change;
}

std::string bound_name(int fd) {
  SocketAddress address;
  return local_address(fd, address) ? name_of(address) : "?";
}

bool is_bound_to(int fd, const config::Listen& listen) {
  SocketAddress address;
  if (!local_address(fd, address)) return false;
  if (!listen.unix_path.empty()) return name_of(address) == "unix:" + listen.unix_path;
  if (address.storage.ss_family == AF_UNIX || port_of(address) != listen.port) return false;
  auto wanted = resolve(listen);
  if (!wanted) return false;
  set_port(*wanted, listen.port);
  if (name_of(*wanted) == name_of(address)) return true;
  // A socket for "[::]" without IPV6_V6ONLY answers for 0.0.0.0 too.
  int only = 1;
  socklen_t length = sizeof only;
  return listen.host == kEveryIpv4 && name_of(address) == "http://[::]:" + std::to_string(listen.port) &&
         ::getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &length) == 0 && only == 0;
}

ActivatedSockets describe_activated(std::vector<UniqueFd> fds, std::vector<std::string>& notes) {
  ActivatedSockets result;
  for (auto& fd : fds) {
    int listening = 0;
    socklen_t length = sizeof listening;
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) != 0 || !listening) {
      notes.push_back("The service manager passed descriptor " + std::to_string(fd.get()) +
                      ", which is no listening stream socket; it is not used. Accept=no and ListenStream= make one.");
      continue;
    }
    auto socket = std::make_shared<BoundSocket>();
    socket->bound = bound_name(fd.get());
    socket->fds.push_back(std::move(fd));
    result.push_back(std::move(socket));
  }
  return result;
}

namespace {

config::Listen listen_of_activated(const BoundSocket& socket) {
  config::Listen listen;
  SocketAddress address;
  if (!local_address(socket.fds.front().get(), address)) return listen;
  if (address.storage.ss_family == AF_UNIX) {
    listen.address = socket.bound;
    listen.unix_path = socket.bound.substr(std::strlen("unix:"));
  } else {
    listen.port = port_of(address);
    listen.address = socket.bound.substr(std::strlen("http://"));
    listen.host = listen.address.substr(0, listen.address.rfind(':'));
    if (listen.host.starts_with('[')) listen.host = listen.host.substr(1, listen.host.size() - 2);
  }
  return listen;
}

bool shares_port(const ListenerSet& set, const config::Listen& listen) {
  return std::any_of(set.begin(), set.end(), [&](const OpenListener& open) {
    return open.listen.unix_path.empty() && open.listen.port == listen.port;
  });
}

std::shared_ptr<BoundSocket> find_activated(const ActivatedSockets& activated, const config::Listen& listen) {
  for (const auto& socket : activated)
    if (is_bound_to(socket->fds.front().get(), listen)) return socket;
  return nullptr;
}

}  // namespace

OpenedListeners open_listeners(const std::vector<config::Listen>& listen, const ListenerSet& current,
                               const ActivatedSockets& activated, unsigned per_address) {
  OpenedListeners result;
  auto wanted = one_per_socket(listen);
  if (wanted.empty() && !activated.empty())
    for (const auto& socket : activated) wanted.push_back(listen_of_activated(*socket));
  if (wanted.empty()) {
    config::Listen usual;
    usual.address = "127.0.0.1:8080";
    usual.host = "127.0.0.1";
    usual.port = 8080;
    wanted.push_back(usual);
  }
  const auto taken = [&](const std::shared_ptr<BoundSocket>& socket) {
    return std::any_of(result.listeners.begin(), result.listeners.end(),
                       [&](const OpenListener& open) { return open.socket == socket; });
  };
  for (const auto& entry : wanted) {
    const auto kept = std::find_if(current.begin(), current.end(),
                                   [&](const OpenListener& open) { return open.listen.address == entry.address; });
    if (kept != current.end()) {
      result.listeners.push_back({entry, kept->socket});
      // The server accepts otherwise from then on: it closes its acceptors and needs the socket anew.
      if (kept->listen.proxy_protocol != entry.proxy_protocol) result.added.push_back(entry.address);
      continue;
    }
    if (auto socket = find_activated(activated, entry)) {
      if (taken(socket)) continue;  // one socket for 0.0.0.0 and [::]
      result.listeners.push_back({entry, std::move(socket)});
      result.added.push_back(entry.address);
      continue;
    }
    // Port 0 of "*:0" is one port for both families.
    auto concrete = entry;
    const bool second = entry.host == kEveryIpv6 && entry.port == 0 && !result.listeners.empty() &&
                        result.listeners.back().listen.host == kEveryIpv4 && result.listeners.back().listen.port == 0;
    if (second) {
      SocketAddress first;
      if (local_address(result.listeners.back().socket->fds.front().get(), first)) concrete.port = port_of(first);
    }
    // A socket of "[::]:80" does not stand in the way of one for 0.0.0.0 and is no sign of another server.
    const bool ours = shares_port(current, entry) || (entry.port != 0 && shares_port(result.listeners, entry));
    auto socket = entry.unix_path.empty()
                      ? open_tcp(concrete, per_address, ours)
                      : open_unix(entry.unix_path, entry.unix_mode, static_cast<int>(entry.backlog));
    if (!socket) {
      const bool either = entry.host == kEveryIpv6 && !result.listeners.empty() &&
                          result.listeners.back().listen.host == kEveryIpv4 &&
                          result.listeners.back().listen.port == entry.port && socket.error().code == Code::internal;
      if (either)
        result.notes.push_back("IPv6 is left out: " + socket.error().message);
      else
        result.faults.push_back(socket.error().message);
      continue;
    }
    result.listeners.push_back({entry, std::move(*socket)});
    result.added.push_back(entry.address);
  }
  for (const auto& socket : activated)
    if (!taken(socket))
      result.notes.push_back("The service manager passed a socket for " + socket->bound +
                             ", which [server] listen does not name; nobody answers on it.");
  return result;
}

Result<std::shared_ptr<BoundSocket>> open_unix(const std::string& path, mode_t mode, int backlog) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string what = "cannot listen on unix:" + path + ": ";
  if (path.size() >= sizeof address.sun_path)
    return fail(Code::internal, what + "the path is longer than the " + std::to_string(sizeof address.sun_path - 1) +
                                    " bytes a socket's path can have; choose a shorter one");
  std::memcpy(address.sun_path, path.data(), path.size());
  const auto* where = reinterpret_cast<const sockaddr*>(&address);

  struct stat there{};
  if (::lstat(path.c_str(), &there) == 0) {
    if (!S_ISSOCK(there.st_mode))
      return fail(Code::internal, what + "a file that is no socket has that name; remove it or choose another path");
    UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!probe) return fail_errno(errno, what + "opening a socket");
    if (::connect(probe.get(), where, sizeof address) == 0 || errno == EAGAIN)
      return fail(Code::out_of_resources, what + "another program answers there; stop it or choose another path");
    if (errno != ECONNREFUSED)
      return fail(Code::internal, what + errno_text(errno) + "; remove the file if no program uses it");
    ::unlink(path.c_str());
  }
  auto result = std::make_shared<BoundSocket>();
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno(errno, what + "opening a socket");
  // The mode is set before anybody can connect: a socket that does not listen yet refuses everybody.
  if (::bind(fd.get(), where, sizeof address) != 0)
    return fail(Code::internal,
                what + errno_text(errno) + "; its folder must exist and be writable for the user that starts Fivefold");
  if (::lstat(path.c_str(), &there) == 0) {
    result->unix_path = path;
    result->device = there.st_dev;
    result->inode = there.st_ino;
  }
  if (::chmod(path.c_str(), mode) != 0) return fail(Code::internal, what + "setting its mode: " + errno_text(errno));
  if (::listen(fd.get(), backlog) != 0) return fail(Code::internal, what + errno_text(errno));
  result->bound = "unix:" + path;
  result->fds.push_back(std::move(fd));
  return result;
}

nlohmann::json to_json(const ListenerSet& listeners, DescriptorList& fds, const std::vector<std::string>* only) {
  auto json = nlohmann::json::array();
  for (const auto& [listen, socket] : listeners) {
    auto indices = nlohmann::json::array();
    if (!only || std::find(only->begin(), only->end(), listen.address) != only->end())
      for (const auto& fd : socket->fds) indices.push_back(fds.add(fd.get()));
    json.push_back({{"address", listen.address},
                    {"host", listen.host},
                    {"port", listen.port},
                    {"unix_path", listen.unix_path},
                    {"unix_mode", listen.unix_mode},
                    {"proxy_protocol", listen.proxy_protocol},
                    {"backlog", listen.backlog},
                    {"bound", socket->bound},
                    {"fds", std::move(indices)}});
  }
  return json;
}

std::vector<serve::ListeningSocket> listeners_from_json(Parcel& parcel, const nlohmann::json& json) {
  std::vector<serve::ListeningSocket> sockets;
  for (const auto& entry : json) {
    serve::ListeningSocket socket;
    socket.listen.address = entry.value("address", "");
    socket.listen.host = entry.value("host", "");
    socket.listen.port = entry.value("port", std::uint16_t{0});
    socket.listen.unix_path = entry.value("unix_path", "");
    socket.listen.unix_mode = entry.value("unix_mode", 0666u);
    socket.listen.proxy_protocol = entry.value("proxy_protocol", false);
    socket.listen.backlog = entry.value("backlog", 4096u);
    socket.bound = entry.value("bound", "");
    for (const auto& index : entry.at("fds"))
      if (auto fd = take_descriptor(parcel, index)) socket.fds.push_back(std::move(fd));
    sockets.push_back(std::move(socket));
  }
  return sockets;
}

}  // namespace fivefold::app
