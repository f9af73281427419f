#include "upstream/call.h"
#include "upstream/http_exchange.h"

namespace fivefold::upstream {

net::Task<CallResult> call_http(Call call, OutgoingHead head) {
  auto exchange = std::make_unique<HttpExchange>(std::move(call));
  if (auto sent = exchange->send(head); !sent) co_return std::unexpected(exchange->failure(std::move(sent.error())));
  auto received = co_await exchange->receive();
  if (!received) co_return std::unexpected(exchange->failure(std::move(received.error())));
  co_return HttpExchange::answer(std::move(exchange));
}

}  // namespace fivefold::upstream
