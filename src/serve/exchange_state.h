#pragma once
// Everything that one request needs while it is handled. Reused from request to request, so that its buffers stay warm.
#include <memory>
#include <string>
#include <vector>

#include "exchange/exchange.h"
#include "http/head.h"
#include "serve/interim_writer.h"
#include "serve/loop_state.h"
#include "serve/resolve.h"

namespace fivefold::serve {

struct ExchangeState final : exchange::Exchange {
  explicit ExchangeState(exchange::World& world) : Exchange(world) {}

  http::Head head;
  std::string path;
  const config::Route* route = nullptr;  // of the site below; null for answers of the server's own
  const exchange::Peer* peer = nullptr;  // whom the request is handled for: the connection's, or `client` below
  exchange::Peer client;                 // behind the proxies that we trust
  std::shared_ptr<const LoopSite> site;
  InterimWriter* interim = nullptr;  // while the request is answered
  std::string output;                // the response's head, and small bodies behind it

  // A local redirect's own head and path; kept until the exchange ends because the first response may still refer to
  // it.
  struct Redirected {
    std::string target;
    http::Head head;
    std::string path;
  };
  std::vector<std::unique_ptr<Redirected>> redirected;

  net::Task<Result<exchange::Response>> redirect_locally(std::string target) override;
  net::Task<void> send_interim(int status, http::Headers headers) override;
  void clear();  // for the next request
};

}  // namespace fivefold::serve
