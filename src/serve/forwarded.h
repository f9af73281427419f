#pragma once
// Who the client is, and whom it asked for, when a proxy that we trust stands between (RFC 7239 Forwarded,
// X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host).
#include "exchange/exchange.h"
#include "http/head.h"
#include "serve/site.h"

namespace fivefold::serve {

// The client behind `peer` as its headers say, or `peer` itself when it is not trusted or says nothing. Walks the list
// from the right and stops at the first address that is not trusted: what stands left of it was written by a stranger.
// Scheme and host are those of the same stop. X-Forwarded-Proto and X-Forwarded-Host are read from the right beside
// X-Forwarded-For: the last value is that of the proxy next to us.
exchange::Peer client_behind(const exchange::Peer& peer, const http::Head& head, const Site& site);

}  // namespace fivefold::serve
