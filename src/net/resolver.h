#pragma once
// Names to addresses, asked again when their time to live has ended.
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/blocking.h"
#include "net/connect.h"
#include "net/loop.h"

namespace fivefold::net {

// How names are asked; the defaults are what a server wants.
struct ResolverSettings {
  std::string servers = {};                 // "127.0.0.1:5353,[::1]:53"; empty: those of /etc/resolv.conf
  std::chrono::milliseconds timeout{5000};  // of one lookup
  std::function<TimePoint()> now = {};      // what answers age by; empty: the steady clock. Called on any thread.
};

// c-ares, on one thread of the blocking pool at most; answers are shared by all loops, and a name is asked once
// however many want it. While a name is asked again the old answer serves; when that fails the old answer goes on
// serving for kStale at most. An answer that ended longer than kGrace ago, with nobody asking since, serves only when
// asking fails.
class Resolver {
 public:
  static constexpr std::chrono::seconds kShortestLife{1};  // a TTL of 0 would ask for every connection
  static constexpr std::chrono::seconds kLongestLife{3600};
  static constexpr std::chrono::seconds kHostsLife{30};   // of an answer without a TTL (/etc/hosts)
  static constexpr std::chrono::seconds kFailureLife{2};  // a failure is not asked again sooner
  static constexpr std::chrono::seconds kGrace{30};
  static constexpr std::chrono::minutes kStale{10};
  static constexpr std::size_t kMostNames = 1000;    // remembered; the one longest unused is forgotten first
  static constexpr std::size_t kMostAtOnce = 32;     // asked at the same time; the others wait for their turn
  static constexpr std::size_t kMostAddresses = 32;  // of one name; more are dropped

  // `pool` outlives this.
  explicit Resolver(BlockingPool& pool, ResolverSettings settings = {});
  ~Resolver();
  Resolver(const Resolver&) = delete;
  // IPv6 and IPv4 addresses in the order to try (RFC 6724). Code::program_unavailable when there is no answer. May be
  // let go of while it waits; the lookup goes on for others. From any loop.
  Task<Result<std::vector<SocketAddress>>> resolve(Loop& loop, std::string host, std::uint16_t port);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace fivefold::net
