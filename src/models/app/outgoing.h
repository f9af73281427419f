#pragma once
// The request as the application gets it over HTTP: the client's fields without what is the connection's own, and with
// what the server vouches for.
#include <string>

#include "exchange/exchange.h"
#include "models/app/app_program.h"
#include "upstream/call.h"

namespace fivefold::models::app {

// Fields, in this order: Host (the client's, or `host`), X-Forwarded-For, -Proto, -Host, -Port, and -Prefix with
// strip_prefix, X-Real-IP, Forwarded (RFC 7239), X-Request-Id, traceparent (as `forward` says), then the client's own.
// Of those are left out: hop-by-hop fields, what the server sets, Proxy, Expect, Content-Length and Transfer-Encoding,
// Authorization unless pass_authorization, and names with '_', which many applications cannot tell from '-'.
upstream::OutgoingHead outgoing_head(const AppProgram& program, const exchange::Request& request,
                                     const exchange::Exchange& exchange);

// The target in origin form: as the client wrote it, unless it has "." or ".." segments, which are resolved as routing
// has resolved them; below the route's prefix with `strip_prefix`.
std::string outgoing_target(const exchange::Request& request, const exchange::Exchange& exchange, bool strip_prefix);

// The value of the cookie `name` in the request's Cookie fields; empty when there is none.
std::string_view cookie_value(const http::Head& head, std::string_view name);

}  // namespace fivefold::models::app
