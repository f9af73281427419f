#pragma once
// From a request's head to who answers it: path, route, handler. One place; local redirects come through here again.
#include <optional>
#include <string>

#include "exchange/exchange.h"
#include "serve/site.h"

namespace fivefold::serve {

struct Resolution {
  const config::Route* route = nullptr;  // null for answers of the server's own
  exchange::Handler* handler = nullptr;  // null when `ready` is the answer
  std::optional<exchange::Response> ready = {};
};

// Fills `path` (the normalised path) and the exchange's route_prefix and route_rest, which point into it.
// Errors: what normalize_path says; not_found; method_not_allowed with the Allow value; not_implemented for a method
// nobody knows.
Result<Resolution> resolve(const Site& site, const http::Head& head, std::string& path, exchange::Exchange& exchange);

}  // namespace fivefold::serve
