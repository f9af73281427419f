#pragma once
// From a resource and a request's head to the response: which variant, which part, or that nothing has changed.
#include <memory>

#include "base/error.h"
#include "exchange/exchange.h"
#include "models/files/resource.h"

namespace fivefold::models::files {

// The fields of a request that a response to GET or HEAD depends on, found in one pass.
struct Asked {
  std::string_view accept_encoding;
  std::string_view accept;
  bool conditional = false;  // any If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since
  bool range = false;
};
Asked survey(const http::Head& head);

// Prefers JSON only where the client names it and not HTML.
bool wants_json(std::string_view accept);

// For a file or a listing. Code::precondition_failed and Code::range_not_satisfiable are possible.
Result<exchange::Response> file_response(const std::shared_ptr<const Resource>& resource, const http::Head& head,
                                         const Asked& asked, std::size_t max_ranges, exchange::World& world);

// 301 to the same path with a slash, the query kept.
Result<exchange::Response> slash_redirect(std::string_view path, const http::Head& head);

}  // namespace fivefold::models::files
