#include "net/name_lookup.h"

#include <ares.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <mutex>

#include "net/resolver.h"

namespace fivefold::net {
namespace {

using std::chrono::milliseconds;

constexpr int kTries = 3;  // each waits twice as long as the one before, until the lookup's own timeout

int initialize(ares_channel& channel, const std::string& servers, milliseconds timeout) {
  static std::once_flag once;
  std::call_once(once, [] { ares_library_init(ARES_LIB_INIT_ALL); });
  ares_options options{};
  options.timeout = static_cast<int>(std::max(timeout * 3 / 10, milliseconds(1)).count());
  options.tries = kTries;
  if (const int status = ares_init_options(&channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
      status != ARES_SUCCESS)
    return status;
  return servers.empty() ? ARES_SUCCESS : ares_set_servers_ports_csv(channel, servers.c_str());
}

std::optional<SocketAddress> address_of(const ares_addrinfo_node& node) {
  if (node.ai_family != AF_INET && node.ai_family != AF_INET6) return std::nullopt;
  SocketAddress address;
  if (node.ai_addrlen > sizeof address.storage) return std::nullopt;
  std::memcpy(&address.storage, node.ai_addr, node.ai_addrlen);
  address.length = node.ai_addrlen;
  return address;
}

bool same(const SocketAddress& a, const SocketAddress& b) {
  return a.length == b.length && std::memcmp(&a.storage, &b.storage, a.length) == 0;
}

}  // namespace

NameLookup::NameLookup(std::string host, const std::string& servers, milliseconds timeout)
    : host_(std::move(host)), deadline_(Clock::now() + timeout) {
  if (const int status = initialize(channel_, servers, timeout); status != ARES_SUCCESS) {
    give_up(ares_strerror(status));
    return;
  }
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  ares_getaddrinfo(channel_, host_.c_str(), nullptr, &hints, &NameLookup::answered, this);
  starting_ = false;
}

NameLookup::~NameLookup() {
  if (channel_) ares_destroy(channel_);  // calls answered() if it has not been called
}

void NameLookup::give_up(const std::string& reason) {
  if (!result_) result_ = fail(Code::program_unavailable, fmt::format("the name {} has no address: {}", host_, reason));
}

void NameLookup::answered(void* self, int status, int, ares_addrinfo* info) {
  static_cast<NameLookup*>(self)->take(status, info);
  if (info) ares_freeaddrinfo(info);
}

void NameLookup::take(int status, const ares_addrinfo* info) {
  if (result_) return;
  if (status != ARES_SUCCESS || !info) {
    give_up(ares_strerror(status));
    return;
  }
  NameAnswer answer{.life = Resolver::kLongestLife};
  const auto shorten = [&](int ttl) { answer.life = std::min(answer.life, std::chrono::seconds(std::max(ttl, 0))); };
  for (const auto* node = info->nodes; node && answer.addresses.size() < Resolver::kMostAddresses;
       node = node->ai_next) {
    const auto address = address_of(*node);
    if (!address) continue;
    shorten(node->ai_ttl);
    if (std::ranges::none_of(answer.addresses, [&](const auto& other) { return same(other, *address); }))
      answer.addresses.push_back(*address);
  }
  for (const auto* alias = info->cnames; alias; alias = alias->next) shorten(alias->ttl);
  if (answer.addresses.empty()) {
    give_up("the answer holds none");
    return;
  }
  if (starting_) answer.life = Resolver::kHostsLife;  // nobody has been asked: /etc/hosts, or "localhost" itself
  result_ = std::move(answer);
}

void NameLookup::prepare(std::vector<pollfd>& descriptors, milliseconds& wait) {
  first_ = descriptors.size();
  count_ = 0;
  if (result_) {
    wait = milliseconds(0);
    return;
  }
  std::array<ares_socket_t, ARES_GETSOCK_MAXNUM> sockets{};
  const int wanted = ares_getsock(channel_, sockets.data(), static_cast<int>(sockets.size()));
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    short events = 0;
    if (ARES_GETSOCK_READABLE(wanted, i)) events |= POLLIN;
    if (ARES_GETSOCK_WRITABLE(wanted, i)) events |= POLLOUT;
    if (events == 0) break;
    descriptors.push_back({sockets[i], events, 0});
    ++count_;
  }
  timeval own{};
  if (ares_timeout(channel_, nullptr, &own))
    wait = std::min(wait, milliseconds(own.tv_sec * 1000 + own.tv_usec / 1000 + 1));
  wait = std::clamp(std::chrono::ceil<milliseconds>(deadline_ - Clock::now()), milliseconds(0), wait);
}

void NameLookup::proceed(const std::vector<pollfd>& descriptors) {
  if (result_) return;
  for (std::size_t i = first_; i < first_ + count_ && !result_; ++i) {
    const pollfd& ready = descriptors[i];
    if (ready.revents == 0) continue;
    const bool broken = ready.revents & (POLLERR | POLLHUP | POLLNVAL);
    ares_process_fd(channel_, (ready.revents & POLLIN) || broken ? ready.fd : ARES_SOCKET_BAD,
                    (ready.revents & POLLOUT) ? ready.fd : ARES_SOCKET_BAD);
  }
  if (!result_) ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // what has waited long enough
  if (!result_ && Clock::now() >= deadline_) give_up("no name server answered in time");
}

}  // namespace fivefold::net
