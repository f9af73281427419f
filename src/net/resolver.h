#pragma once
// Names to addresses, asked again when their time to live has ended.
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "net/blocking.h"
#include "net/connect.h"
#include "net/loop.h"

namespace fivefold::net {

// c-ares, on the blocking pool; answers are shared by all loops. While a name is asked again the old answer serves;
// when that fails the old answer goes on serving for kStale at most.
class Resolver {
 public:
  static constexpr std::chrono::seconds kShortestLife{1};  // a TTL of 0 would ask for every connection
  static constexpr std::chrono::seconds kLongestLife{3600};
  static constexpr std::chrono::seconds kHostsLife{30};   // of an answer without a TTL (/etc/hosts)
  static constexpr std::chrono::seconds kFailureLife{2};  // a failure is not asked again sooner
  static constexpr std::chrono::minutes kStale{10};
  static constexpr std::chrono::seconds kTimeout{5};  // of one lookup
  explicit Resolver(BlockingPool& pool);
  ~Resolver();
  // IPv6 and IPv4 addresses in the order to try. Code::program_unavailable when there is no answer.
  Task<Result<std::vector<SocketAddress>>> resolve(Loop& loop, std::string host, std::uint16_t port);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace fivefold::net
