#pragma once
// The response for an error: a page for people, one line of text or JSON for those who ask for that.
#include "base/error.h"
#include "exchange/exchange.h"
#include "serve/site.h"

namespace fivefold::serve {

// `exchange` gives the id that the page and the log share, and the story behind the failure, which is shown where
// [server] error_detail = "page". An operator's own page for the status takes the place of ours. `head` may be null.
exchange::Response error_response(const Error& error, const exchange::Exchange& exchange, const Site& site,
                                  const http::Head* head);

// The same with a status alone (redirects to nowhere, statuses of routes).
exchange::Response error_response(int status, const Error& error, const exchange::Exchange& exchange, const Site& site,
                                  const http::Head* head);

}  // namespace fivefold::serve
