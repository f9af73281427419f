#pragma once
// One name being asked, by c-ares; driven by poll(2) on a thread that may block.
#include <poll.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "net/connect.h"
#include "net/timer.h"

struct ares_channeldata;
struct ares_addrinfo;

namespace fivefold::net {

struct NameAnswer {
  std::vector<SocketAddress> addresses;  // never empty; their port is 0
  std::chrono::seconds life;             // as answered, not yet bounded
};

class NameLookup {
 public:
  // Asks at once; /etc/hosts may have answered by the end of this. `servers` as in ResolverSettings.
  NameLookup(std::string host, const std::string& servers, std::chrono::milliseconds timeout);
  ~NameLookup();
  NameLookup(const NameLookup&) = delete;

  const std::string& host() const { return host_; }
  const std::optional<Result<NameAnswer>>& result() const { return result_; }

  // Adds what it waits for, and shortens `wait` to when it wants to be called at the latest.
  void prepare(std::vector<pollfd>& descriptors, std::chrono::milliseconds& wait);
  // After poll(2): `descriptors` as prepare() and poll() left them.
  void proceed(const std::vector<pollfd>& descriptors);

 private:
  static void answered(void* self, int status, int timeouts, ares_addrinfo* info);
  void take(int status, const ares_addrinfo* info);
  void give_up(const std::string& reason);
  std::string host_;
  ares_channeldata* channel_ = nullptr;
  TimePoint deadline_;
  std::size_t first_ = 0, count_ = 0;  // its part of the descriptors
  bool starting_ = true;
  std::optional<Result<NameAnswer>> result_;
};

}  // namespace fivefold::net
