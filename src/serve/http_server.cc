#include "serve/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>

#include "net/listener.h"
#include "serve/exchange_state.h"
#include "serve/http1_session.h"
#include "serve/loop_state.h"

namespace fivefold::serve {
namespace {

constexpr int kIdleClosedForRoom = 64;  // connections closed when descriptors run out
constexpr std::chrono::seconds kExhaustedLogEvery{5};

struct Endpoint {
  std::string address;
  std::uint16_t port = 0;
};

Endpoint endpoint_of(const sockaddr_storage& storage) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    return {text.data(), ntohs(v4.sin_port)};
  }
  if (storage.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
      ::inet_ntop(AF_INET, v6.sin6_addr.s6_addr + 12, text.data(), text.size());
    else
      ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    return {text.data(), ntohs(v6.sin6_port)};
  }
  return {"unix:", 0};
}

net::Task<void> serve_connection(LoopState& loop, UniqueFd fd, exchange::Peer peer, bool proxy_protocol) {
  try {
    Http1Session session(loop, std::move(fd), std::move(peer), proxy_protocol);
    if (loop.draining) session.finish();
    co_await session.run();
  } catch (const std::exception& bug) {
    loop.log.error("bug: an exception reached a connection: {}", bug.what());
  }
}

// One listening address with its sockets: what it is called, and who accepts.
struct OpenListener {
  std::string bound;
  std::string address;
  bool proxy_protocol = false;
  // By loop; filled and emptied on that loop.
  std::vector<std::shared_ptr<std::weak_ptr<net::Listener>>> acceptors;
};

}  // namespace

struct HttpServer::Impl {
  struct LoopServer {
    LoopServer(exchange::World& world, Log& log, LineFile* access, Counters& counters)
        : state(world, log, access, counters) {}
    net::Loop& loop() { return state.world.loop; }
    LoopState state;
    std::vector<std::shared_ptr<net::Listener>> listeners;  // accepting on this loop
    bool drained = false;
    bool paused = false;  // the connection limit is reached
    net::TimePoint exhausted_logged{};
    net::TaskGroup sessions;
  };

  std::vector<std::unique_ptr<Counters>> counters;
  std::vector<std::unique_ptr<LoopServer>> loops;
  Log& log;
  mutable std::mutex mutex;
  std::shared_ptr<const Site> site;
  std::vector<OpenListener> open;
  std::atomic<std::size_t> connections{0};
  std::atomic<std::size_t> connection_limit{0};
  std::atomic<bool> any_paused{false};
  std::atomic<unsigned> next_loop{0};
  std::atomic<unsigned> still_draining{0};
  bool draining = false;  // of the thread that calls drain()
  std::function<void()> drained;
  std::vector<std::unique_ptr<net::Timer>> drain_timers;

  explicit Impl(Log& l) : log(l) {}

  void accepted(LoopServer& on, const config::Listen& listen, bool spread, UniqueFd fd,
                const sockaddr_storage& address) {
    exchange::Peer peer;
    const Endpoint remote = endpoint_of(address);
    peer.address = remote.address;
    peer.port = remote.port;
    sockaddr_storage local{};
    socklen_t length = sizeof local;
    if (listen.unix_path.empty() && ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&local), &length) == 0) {
      const Endpoint own = endpoint_of(local);
      peer.local_address = own.address;
      peer.local_port = own.port;
    }
    ++connections;
    LoopServer& target = spread ? *loops[next_loop++ % loops.size()] : on;
    if (&target == &on) {
      begin(on, std::move(fd), std::move(peer), listen.proxy_protocol);
    } else {
      auto shared_fd = std::make_shared<UniqueFd>(std::move(fd));
      target.loop().post([this, &target, shared_fd, peer = std::move(peer), proxy = listen.proxy_protocol]() mutable {
        begin(target, std::move(*shared_fd), std::move(peer), proxy);
      });
    }
    if (connections >= connection_limit) {
      on.paused = true;
      for (auto& listener : on.listeners) listener->pause();
      any_paused = true;
      resume_if_below_limit();  // the last one to leave may not have seen the flag
    }
  }

  net::Task<void> counted_connection(LoopServer& on, UniqueFd fd, exchange::Peer peer, bool proxy_protocol) {
    struct Leave {
      Impl& impl;
      ~Leave() { impl.left(); }
    } leave{*this};
    co_await serve_connection(on.state, std::move(fd), std::move(peer), proxy_protocol);
  }

  void begin(LoopServer& on, UniqueFd fd, exchange::Peer peer, bool proxy_protocol) {
    on.state.counters.connections_accepted.fetch_add(1, std::memory_order_relaxed);
    on.sessions.start(counted_connection(on, std::move(fd), std::move(peer), proxy_protocol));
  }

  void left() {
    --connections;
    if (any_paused) resume_if_below_limit();
  }

  // From any thread. A loop that rests because of the limit may have no connection of its own that could wake it by
  // leaving.
  void resume_if_below_limit() {
    if (connections >= connection_limit || !any_paused.exchange(false)) return;
    for (auto& loop : loops)
      loop->loop().post([paused_loop = loop.get()] {
        if (!paused_loop->paused || paused_loop->state.draining) return;
        paused_loop->paused = false;
        for (auto& listener : paused_loop->listeners) listener->resume();
      });
  }

  // No descriptor is left: idle connections make room, and the operator is told.
  void exhausted(LoopServer& on, int error_number) {
    const auto now = on.loop().now();
    if (now - on.exhausted_logged > kExhaustedLogEvery) {
      on.exhausted_logged = now;
      log.error(
          "a connection could not be accepted: {}; idle connections are closed to make room. Raise LimitNOFILE (or "
          "ulimit -n), or lower [server.limits] connections",
          errno_text(error_number));
    }
    int closed = 0;
    for (Http1Session* session = on.state.first_session; session && closed < kIdleClosedForRoom;) {
      Http1Session* next = session->next_session();
      if (session->idle()) {
        session->finish();
        ++closed;
      }
      session = next;
    }
  }

  std::shared_ptr<net::Listener> listen_on(LoopServer& on, UniqueFd fd, const config::Listen& listen, bool spread) {
    auto listener = std::make_shared<net::Listener>(
        on.loop(), std::move(fd),
        [this, &on, listen, spread](UniqueFd accepted_fd, const sockaddr_storage& address, socklen_t) {
          accepted(on, listen, spread, std::move(accepted_fd), address);
        });
    listener->on_exhausted([this, &on](int error_number) { exhausted(on, error_number); });
    return listener;
  }

  void finish_sessions(LoopServer& on, Idle idle) {
    for (Http1Session* session = on.state.first_session; session;) {
      Http1Session* next = session->next_session();
      if (idle == Idle::close)
        session->finish();
      else
        session->finish_after_next();
      session = next;
    }
  }

  void drain_loop(LoopServer& on, std::chrono::milliseconds deadline, Idle idle, net::Timer& timer) {
    on.state.draining = true;
    on.listeners.clear();
    on.sessions.on_empty([this, &on] { on.loop().post([this, &on] { loop_drained(on); }); });
    finish_sessions(on, idle);
    timer.set(on.loop().now() + deadline);
    loop_drained(on);
  }

  // Once per loop: a connection that another loop hands over late makes it empty a second time.
  void loop_drained(LoopServer& on) {
    if (on.drained || on.sessions.size() != 0) return;
    on.drained = true;
    if (--still_draining == 0 && drained) std::exchange(drained, nullptr)();
  }
};

HttpServer::HttpServer(std::vector<exchange::World*> worlds, Log& log, LineFile* access_log,
                       std::shared_ptr<const Site> site)
    : impl_(std::make_unique<Impl>(log)) {
  for (exchange::World* world : worlds) {
    impl_->counters.push_back(std::make_unique<Counters>());
    impl_->loops.push_back(std::make_unique<Impl::LoopServer>(*world, log, access_log, *impl_->counters.back()));
    impl_->loops.back()->state.site = std::make_shared<LoopSite>(LoopSite{site});
  }
  impl_->connection_limit = site->config().server.limits.connections;
  impl_->site = std::move(site);
}

HttpServer::~HttpServer() = default;

void HttpServer::set_site(std::shared_ptr<const Site> site) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->site = site;
  }
  impl_->connection_limit = site->config().server.limits.connections;
  impl_->resume_if_below_limit();
  for (auto& loop : impl_->loops)
    loop->loop().post([loop = loop.get(), site] { loop->state.site = std::make_shared<LoopSite>(LoopSite{site}); });
}

std::shared_ptr<const Site> HttpServer::site() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->site;
}

void HttpServer::set_listeners(std::vector<ListeningSocket> sockets) {
  const std::lock_guard lock(impl_->mutex);
  std::vector<OpenListener> kept;
  for (auto& socket : sockets) {
    const auto old = std::find_if(impl_->open.begin(), impl_->open.end(), [&](const OpenListener& open) {
      return open.address == socket.listen.address && open.proxy_protocol == socket.listen.proxy_protocol;
    });
    if (old != impl_->open.end()) {
      kept.push_back(std::move(*old));
      impl_->open.erase(old);
      continue;
    }
    OpenListener opened{.bound = socket.bound,
                        .address = socket.listen.address,
                        .proxy_protocol = socket.listen.proxy_protocol,
                        .acceptors = {}};
    const bool spread = socket.fds.size() < impl_->loops.size();
    for (std::size_t i = 0; i < socket.fds.size(); ++i) {
      auto& loop =
          *impl_->loops[i % impl_->loops.size()];  // the kernel fills every socket's queue: none may stay unserved
      auto fd = std::make_shared<UniqueFd>(std::move(socket.fds[i]));
      // Made and destroyed on its own loop; the list here only remembers which one to close.
      auto slot = std::make_shared<std::weak_ptr<net::Listener>>();
      loop.loop().post([impl = impl_.get(), &loop, fd, slot, listen = socket.listen, spread] {
        if (loop.state.draining) return;
        loop.listeners.push_back(impl->listen_on(loop, std::move(*fd), listen, spread));
        *slot = loop.listeners.back();
      });
      opened.acceptors.push_back(std::move(slot));
    }
    kept.push_back(std::move(opened));
  }
  for (auto& gone : impl_->open) {
    for (std::size_t i = 0; i < gone.acceptors.size(); ++i) {
      auto& loop = *impl_->loops[i % impl_->loops.size()];
      loop.loop().post([&loop, slot = gone.acceptors[i]] { std::erase(loop.listeners, slot->lock()); });
    }
  }
  impl_->open = std::move(kept);
}

void HttpServer::drain(std::chrono::milliseconds deadline, Idle idle, std::function<void()> drained) {
  if (impl_->draining) {
    if (idle == Idle::close)
      for (auto& loop : impl_->loops)
        loop->loop().post([impl = impl_.get(), loop = loop.get()] { impl->finish_sessions(*loop, Idle::close); });
    return;
  }
  impl_->draining = true;
  impl_->drained = std::move(drained);
  impl_->still_draining = static_cast<unsigned>(impl_->loops.size());
  for (auto& loop : impl_->loops) {
    loop->loop().post([impl = impl_.get(), loop = loop.get(), deadline, idle] {
      // At the deadline, what is left is cut: each connection is reset where its response has begun.
      auto timer = std::make_unique<net::Timer>(
          loop->loop().timers(),
          [](void* self) {
            auto* cut = static_cast<Impl::LoopServer*>(self);
            for (Http1Session* session = cut->state.first_session; session; session = session->next_session())
              session->cut();
            cut->sessions.clear();
          },
          loop);
      net::Timer& reference = *timer;
      {
        const std::lock_guard lock(impl->mutex);
        impl->drain_timers.push_back(std::move(timer));
      }
      impl->drain_loop(*loop, deadline, idle, reference);
    });
  }
}

const std::vector<std::unique_ptr<Counters>>& HttpServer::counters() const { return impl_->counters; }

std::vector<std::string> HttpServer::listeners() const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<std::string> names;
  for (const auto& open : impl_->open) names.push_back(open.bound);
  return names;
}

}  // namespace fivefold::serve
