#include "gateway/scgi.h"
#include "upstream/call.h"
#include "upstream/cgi_exchange.h"

namespace fivefold::upstream {
namespace {

net::Task<CallResult> not_sent(Call call, Error error) {
  CallFailure failure{.error = std::move(error), .reused = call.connection->reused()};
  failure.owner = std::move(call.owner);
  failure.body = std::move(call.body);
  co_return std::unexpected(std::move(failure));
}

net::Task<CallResult> send(Call call, std::string head) {
  if (call.has_body && !call.body_length)
    return not_sent(std::move(call),
                    {Code::internal, "A request body of unknown length cannot be sent by SCGI or uwsgi."});
  return CgiExchange::run(
      std::make_unique<CgiExchange>(std::move(call), std::move(head), CgiExchange::Framing::until_close, false));
}

}  // namespace

net::Task<CallResult> call_scgi(Call call, process::StringBlock environment) {
  auto head = gateway::scgi_request(environment, call.has_body ? call.body_length.value_or(0) : 0);
  return send(std::move(call), std::move(head));
}

net::Task<CallResult> call_uwsgi(Call call, process::StringBlock environment) {
  auto head = gateway::uwsgi_request(environment);
  if (!head) return not_sent(std::move(call), std::move(head.error()));
  return send(std::move(call), std::move(*head));
}

}  // namespace fivefold::upstream
