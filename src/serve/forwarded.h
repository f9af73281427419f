#pragma once
// Who the client is when a proxy that we trust stands between (RFC 7239 Forwarded, X-Forwarded-For, X-Forwarded-Proto).
#include "exchange/exchange.h"
#include "http/head.h"
#include "serve/site.h"

namespace fivefold::serve {

// The client behind `peer` as its headers say, or `peer` itself when it is not trusted or says nothing. Walks the list
// from the right and stops at the first address that is not trusted: what stands left of it was written by a stranger.
exchange::Peer client_behind(const exchange::Peer& peer, const http::Head& head, const Site& site);

}  // namespace fivefold::serve
