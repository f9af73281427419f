#pragma once
// Connections from one loop to one endpoint: opened when needed, kept for the next request.
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "http/response_parser.h"
#include "net/connect.h"
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
  // What a connection holds while it is idle; more is taken when the application sends more at once.
  static constexpr std::size_t kFirstBuffer = 8192;
  Connection(net::Loop& loop, UniqueFd fd, const ConnectionLimits& limits);
  net::Stream& stream() { return stream_; }
  std::size_t buffer_size() const { return buffer_size_; }
  bool reused() const { return requests_ > 0; }  // it has carried a whole exchange before this one
  void exchange_ended() { ++requests_; }
  // The application has said how long it keeps the connection (Keep-Alive: timeout=5).
  void keep_for(milliseconds time) { keep_for_ = time; }

  // Room that each exchange fills anew: what an exchange allocates once is there for the next one.
  std::string outgoing_head;
  http::ReceivedHead received_head;

 private:
  // Still open, and silent, as far as the loop has heard.
  bool usable(net::TimePoint now) const {
    return !closed_.requested() && stream_.buffered().empty() && now < idle_until_;
  }

  friend class Connections;
  net::Stream stream_;
  std::size_t buffer_size_;
  std::uint64_t requests_ = 0;
  milliseconds keep_for_ = milliseconds::max();
  net::TimePoint idle_until_ = net::kNever;
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
  const ConnectionLimits& limits() const { return limits_; }

  // The most recently used one; null when there is none. Costs no system call.
  std::unique_ptr<Connection> take_idle();
  // A new one. Code::program_unavailable when nobody answers there, Code::timed_out when not in time: nothing of a
  // request has left then.
  net::Task<Result<std::unique_ptr<Connection>>> open();
  // How often what is idle is looked through: what the application has closed is let go of no later.
  static constexpr milliseconds kSweep{1000};
  // For the next request. Only at the end of a whole exchange that lets the connection live on.
  void give_back(std::unique_ptr<Connection> connection);
  std::size_t idle() const { return idle_.size(); }
  // Whether a connection that is given back has a chance to be used again.
  bool keeps() const { return !closing_ && limits_.most_idle > 0 && limits_.idle.count() > 0; }
  // Closes those that are idle; one that is given back later is closed too. For an instance that is on its way out.
  void close_idle();

 private:
  net::Task<Result<std::vector<net::SocketAddress>>> addresses();
  static void sweep(void* self);
  net::Loop& loop_;
  Endpoint endpoint_;
  std::optional<net::SocketAddress> address_;  // of an endpoint that needs no look-up
  ConnectionLimits limits_;
  net::Resolver* resolver_;
  std::shared_ptr<net::TlsClient> tls_;
  std::vector<std::unique_ptr<Connection>> idle_;  // the most recently used last
  net::Timer sweep_timer_;
  bool closing_ = false;
};

}  // namespace fivefold::upstream
