#include "upstream/connections.h"

#include <algorithm>
#include <system_error>

namespace fivefold::upstream {
namespace {

// An address that does not answer leaves the ones behind it at least this long.
constexpr milliseconds kLeastTry{250};
constexpr milliseconds kLongestMargin{1000};

net::TimePoint share_of(net::TimePoint now, net::TimePoint deadline, std::size_t addresses_left) {
  if (addresses_left <= 1) return deadline;
  const auto share = (deadline - now) / static_cast<net::Clock::rep>(addresses_left);
  return std::min(deadline, now + std::max<net::Clock::duration>(share, kLeastTry));
}

// What is left of a time that the application keeps the connection, so that a request never crosses its close.
milliseconds before_its_end(milliseconds kept) { return kept - std::min(kLongestMargin, kept / 2); }

}  // namespace

// The buffer has its whole size from the start: pages that no response reaches cost nothing, and no answer is copied
// about because it is longer than the last one.
Connection::Connection(net::Loop& loop, UniqueFd fd, const ConnectionLimits& limits)
    : stream_(loop, std::move(fd), std::min(kFirstBuffer, limits.buffer), limits.buffer), buffer_size_(limits.buffer) {}

Connections::Connections(net::Loop& loop, Endpoint endpoint, ConnectionLimits limits, net::Resolver* resolver,
                         std::shared_ptr<net::TlsClient> tls)
    : loop_(loop),
      endpoint_(std::move(endpoint)),
      limits_(limits),
      resolver_(resolver),
      tls_(std::move(tls)),
      sweep_timer_(loop.timers(), &Connections::sweep, this) {
  if (!endpoint_.path.empty()) {
    if (auto address = net::SocketAddress::unix_path(endpoint_.path)) address_ = *address;
  } else {
    address_ = net::SocketAddress::numeric(endpoint_.host, endpoint_.port);
  }
}

Connections::~Connections() = default;

std::unique_ptr<Connection> Connections::take_idle() {
  if (idle_.empty()) return nullptr;
  const auto now = loop_.now();
  while (!idle_.empty()) {
    auto connection = std::move(idle_.back());
    idle_.pop_back();
    if (!connection->usable(now)) continue;
    connection->stream_.unwatch();
    return connection;
  }
  return nullptr;
}

void Connections::give_back(std::unique_ptr<Connection> connection) {
  const auto now = loop_.now();
  connection->idle_until_ = now + std::min(limits_.idle, before_its_end(connection->keep_for_));
  if (closing_ || limits_.most_idle == 0 || !connection->usable(now)) return;
  if (idle_.size() >= limits_.most_idle) idle_.erase(idle_.begin());
  connection->stream_.watch_close(connection->closed_);
  idle_.push_back(std::move(connection));
  if (!sweep_timer_.armed()) sweep_timer_.set(now + std::min(kSweep, limits_.idle));
}

void Connections::close_idle() {
  closing_ = true;
  idle_.clear();
}

void Connections::sweep(void* self) {
  auto& connections = *static_cast<Connections*>(self);
  const auto now = connections.loop_.now();
  std::erase_if(connections.idle_,
                [&](const std::unique_ptr<Connection>& connection) { return !connection->usable(now); });
  if (!connections.idle_.empty()) connections.sweep_timer_.set(now + std::min(kSweep, connections.limits_.idle));
}

net::Task<Result<std::vector<net::SocketAddress>>> Connections::addresses() {
  if (address_) co_return std::vector{*address_};
  if (!endpoint_.path.empty())  // the constructor could make no address of it: say why
    co_return std::unexpected(net::SocketAddress::unix_path(endpoint_.path).error());
  if (resolver_ == nullptr)
    co_return fail(Code::internal,
                   "\"" + endpoint_.host + "\" is a name, and nothing here looks names up; give an address.");
  co_return co_await resolver_->resolve(loop_, endpoint_.host, endpoint_.port);
}

net::Task<Result<std::unique_ptr<Connection>>> Connections::open() {
  if (endpoint_.tls && !tls_)
    co_return fail(Code::internal, endpoint_.text() + " wants TLS, which is not set up for it.");
  const auto deadline = loop_.now() + limits_.connect_timeout;
  const auto found = co_await addresses();
  if (!found) co_return std::unexpected(found.error());
  Error last{Code::program_unavailable, "The name " + endpoint_.host + " has no address."};
  for (std::size_t i = 0; i < found->size(); ++i) {
    const auto now = loop_.now();
    if (now >= deadline) {
      last = {Code::timed_out, "There was no connection to " + endpoint_.text() + " in time."};
      break;
    }
    auto fd = co_await net::connect(loop_, (*found)[i], share_of(now, deadline, found->size() - i));
    if (!fd) {
      last = std::move(fd.error());
      continue;
    }
    std::unique_ptr<Connection> connection;
    try {
      connection = std::make_unique<Connection>(loop_, std::move(*fd), limits_);
    } catch (const std::system_error& error) {  // epoll takes no more
      co_return fail(Code::out_of_resources,
                     "A connection to " + endpoint_.text() + " cannot be watched: " + error.what());
    }
    if (!endpoint_.tls) co_return connection;
    auto secured = co_await tls_->start(connection->stream_, deadline);
    if (secured) co_return connection;
    last = std::move(secured.error());
  }
  co_return std::unexpected(std::move(last));
}

}  // namespace fivefold::upstream
