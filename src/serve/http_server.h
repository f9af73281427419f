#pragma once
// Connections to responses, on every loop: accepts, speaks HTTP/1, routes, logs, drains.
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/line_file.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "config/config.h"
#include "exchange/exchange.h"
#include "serve/site.h"

namespace fivefold::serve {

// Counters since the server started; read by any thread, written by the loops. One per loop, padded; sum() adds them
// up.
struct Counters {
  std::atomic<std::uint64_t> connections_accepted{0};
  std::atomic<std::uint64_t> connections_open{0};
  std::atomic<std::uint64_t> connections_idle{0};
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> requests_active{0};  // tunnels are not among them
  std::atomic<std::uint64_t> tunnels{0};          // connections that were upgraded
  std::atomic<std::uint64_t> tunnels_open{0};
  std::array<std::atomic<std::uint64_t>, 6> responses{};  // by status class: [2] is 2xx
  std::atomic<std::uint64_t> bytes_received{0};
  std::atomic<std::uint64_t> bytes_sent{0};
  std::atomic<std::uint64_t> refused{0};  // malformed requests
  std::atomic<std::uint64_t> timeouts{0};
  std::array<std::atomic<std::uint64_t>, 12> duration_buckets{};  // request durations; upper bounds in kDurationBuckets
  std::atomic<std::uint64_t> duration_sum_us{0};
};
inline constexpr std::array<double, 11> kDurationBuckets = {0.0005, 0.001, 0.005, 0.01, 0.05, 0.1,
                                                            0.5,    1,     5,     10,   60};  // seconds

// One listening socket as the keeper passes it; several descriptors where SO_REUSEPORT gave one per loop.
struct ListeningSocket {
  config::Listen listen;
  std::string bound;  // "http://127.0.0.1:8080", "unix:/run/x.sock": as printed
  std::vector<UniqueFd> fds;
};

class HttpServer {
 public:
  // One world per loop; everything referred to outlives the server. `access_log` may be null.
  HttpServer(std::vector<exchange::World*> worlds, Log& log, LineFile* access_log, std::shared_ptr<const Site> site);
  ~HttpServer();

  // From any thread. Connections go on with the new site from their next request.
  void set_site(std::shared_ptr<const Site> site);
  std::shared_ptr<const Site> site() const;
  // Replaces the set of listeners: those with an address already open keep their sockets, others are opened or closed.
  void set_listeners(std::vector<ListeningSocket> sockets);
  // Stops accepting, closes idle connections at once, lets requests in flight finish (their responses say Connection:
  // close), cuts what is left at `deadline`; then calls `drained` (on any thread), once.
  // With `idle` keep (a successor serves already), an idle connection may ask once more until the deadline; close ends
  // it now, also when it is said later, while draining.
  enum class Idle : std::uint8_t { close, keep };
  void drain(std::chrono::milliseconds deadline, Idle idle, std::function<void()> drained);

  const std::vector<std::unique_ptr<Counters>>& counters() const;
  std::vector<std::string> listeners() const;  // the `bound` names

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fivefold::serve
