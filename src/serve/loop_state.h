#pragma once
// What the sessions of one event loop share. Touched on that loop only, but for the counters.
#include <memory>
#include <string>
#include <vector>

#include "base/line_file.h"
#include "base/log.h"
#include "exchange/exchange.h"
#include "serve/http_server.h"
#include "serve/site.h"

namespace fivefold::serve {

class Http1Session;
struct ExchangeState;

// A loop's own hold on the site: its reference count stays in this core's cache.
struct LoopSite {
  std::shared_ptr<const Site> site;
};

// The fields that every response has, Date and Server, made once a second.
class CommonFields {
 public:
  // `server` is the Server value; none when empty.
  const http::Headers& now(std::string_view server);
  std::int64_t unix_seconds();

 private:
  std::int64_t seconds_ = -1;
  std::string server_;
  http::Headers headers_;
};

// Random ids without a system call each.
class RequestIds {
 public:
  RequestIds();
  exchange::RequestId next();

 private:
  std::uint64_t step();
  std::uint64_t state_[2];
};

struct LoopState {
  LoopState(exchange::World& world, Log& log, LineFile* access_log, Counters& counters);
  ~LoopState();
  exchange::World& world;
  Log& log;
  LineFile* access_log;
  Counters& counters;
  std::shared_ptr<const LoopSite> site;
  CommonFields common;
  RequestIds ids;
  bool draining = false;
  std::vector<std::unique_ptr<ExchangeState>> spare;  // idle connections hold none
  // The sessions, for draining and for making room.
  Http1Session* first_session = nullptr;

  std::unique_ptr<ExchangeState> take_state();
  void give_back(std::unique_ptr<ExchangeState> state);
};

}  // namespace fivefold::serve
