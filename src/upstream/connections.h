#pragma once
// Connections from one loop to one endpoint: opened when needed, kept for the next request.
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/error.h"
#include "net/loop.h"
#include "net/resolver.h"
#include "net/stream.h"
#include "net/task.h"
#include "net/tls_client.h"
#include "upstream/endpoint.h"

namespace fivefold::upstream {

using std::chrono::milliseconds;

struct ConnectionLimits {
  milliseconds connect_timeout{5000};
  milliseconds idle{4000};      // a kept connection is closed after this: sooner than Node's own 5 s, so that both ends
                                // seldom decide at once
  std::size_t most_idle = 128;  // kept, per loop; the longest idle are closed first
  std::size_t buffer = 65536;   // of the stream, at most: also the longest response head
};

class Connections;

// One connection. While a request is on it, it belongs to the call; between requests it is watched: one that the
// application closes, or that sends bytes nobody asked for, is dropped and never given out.
class Connection {
 public:
  Connection(net::Loop& loop, UniqueFd fd, const ConnectionLimits& limits);
  net::Stream& stream() { return stream_; }
  bool reused() const { return requests_ > 0; }  // it has carried a whole exchange before this one
  void exchange_ended() { ++requests_; }

 private:
  friend class Connections;
  net::Stream stream_;
  std::uint64_t requests_ = 0;
  net::TimePoint idle_since_{};
  net::StopSource closed_;
};

// Belongs to its loop and is destroyed there; outlives the calls that use it (their owner sees to that).
class Connections {
 public:
  // `resolver` is for names, `tls` for endpoints with tls; both outlive this.
  Connections(net::Loop& loop, Endpoint endpoint, ConnectionLimits limits, net::Resolver* resolver,
              std::shared_ptr<net::TlsClient> tls);
  ~Connections();
  net::Loop& loop() const { return loop_; }
  const Endpoint& endpoint() const { return endpoint_; }

  // The most recently used one; null when there is none. Costs no system call.
  std::unique_ptr<Connection> take_idle();
  // A new one. Code::program_unavailable when nobody answers there, Code::timed_out when not in time: nothing of a
  // request has left then.
  net::Task<Result<std::unique_ptr<Connection>>> open();
  // For the next request. Only at the end of a whole exchange that lets the connection live on.
  void give_back(std::unique_ptr<Connection> connection);
  std::size_t idle() const { return idle_.size(); }
  // Closes those that are idle; one that is given back later is closed too. For an instance that is on its way out.
  void close_idle();

 private:
  static void sweep(void* self);
  net::Loop& loop_;
  Endpoint endpoint_;
  ConnectionLimits limits_;
  net::Resolver* resolver_;
  std::shared_ptr<net::TlsClient> tls_;
  std::vector<std::unique_ptr<Connection>> idle_;  // the most recently used last
  net::Timer sweep_timer_;
  bool closing_ = false;
};

}  // namespace fivefold::upstream
