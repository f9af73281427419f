#pragma once
// What status and metrics are made of. Any thread may read it.
#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "serve/http_server.h"

namespace fivefold::control {

struct ServerView {
  // Set once the server serves, null before; outlives every reader.
  std::atomic<const serve::HttpServer*> http{nullptr};
  // Set before anybody reads.
  pid_t keeper_pid = 0;
  std::int64_t started = 0;         // unix seconds: the keeper
  std::int64_t server_started = 0;  // this server process
  std::uint64_t generation = 1;     // server processes the keeper has started, this one included
  std::uint64_t crashes = 0;        // of those before this one
  std::string last_crash;           // when and how; empty when there was none
  std::string control_path;
  std::string user;  // whom the server runs as; empty when it is whoever started it
  // Since this server process started.
  std::atomic<std::uint64_t> reloads{0};
  std::atomic<std::int64_t> configured_at{0};  // unix seconds
};

// The counters of all loops together.
struct Totals {
  std::uint64_t connections_accepted = 0, connections_open = 0, connections_idle = 0;
  std::uint64_t requests = 0, requests_active = 0, refused = 0, timeouts = 0;
  std::uint64_t bytes_received = 0, bytes_sent = 0;
  std::array<std::uint64_t, 6> responses{};
  std::array<std::uint64_t, 12> duration_buckets{};
  std::uint64_t duration_sum_us = 0;
};
Totals totals(const serve::HttpServer& http);

// Resident memory of a process in bytes, 0 when it is gone.
std::uint64_t memory_of(pid_t pid);
// Open descriptors of this process, and how many it may have.
std::uint64_t open_descriptors();
std::uint64_t descriptor_limit();

}  // namespace fivefold::control
