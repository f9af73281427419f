#pragma once
// [[route]] headers: fields set on (or, with an empty value, removed from) every response of a route.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "exchange/exchange.h"

namespace fivefold::serve {

// The fields also go on the error responses of that route: see apply_route_headers.
std::shared_ptr<exchange::Filter> make_response_headers_filter(std::vector<std::pair<std::string, std::string>> fields);
void apply_route_headers(const std::vector<std::pair<std::string, std::string>>& fields, http::Headers& headers);

}  // namespace fivefold::serve
