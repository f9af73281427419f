#include "exchange/exchange.h"

namespace fivefold::exchange {

net::Task<void> Exchange::send_interim(int, http::Headers) { co_return; }

}  // namespace fivefold::exchange
