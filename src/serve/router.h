#pragma once
// Which route a request takes: the first of the configuration whose host, path and method match. Flat cost: 1,000
// routes are looked up like ten.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "http/head.h"

namespace fivefold::serve {

struct RouteMatch {
  std::size_t route = 0;          // index into config.routes
  std::size_t prefix_length = 0;  // of the path: what the pattern names literally; see Exchange::route_prefix
};

class Router {
 public:
  explicit Router(const std::vector<config::Route>& routes);
  // `host` in any case, without port; `path` normalised. `allowed` is filled when a route matches but for its methods:
  // the Allow value.
  std::optional<RouteMatch> match(std::string_view host, std::string_view path, http::Method method,
                                  std::string_view method_text, std::string& allowed) const;

 private:
  struct Index;
  std::shared_ptr<const Index> index_;
};

}  // namespace fivefold::serve
