#include "gateway/fastcgi.h"
#include "upstream/call.h"
#include "upstream/cgi_exchange.h"

namespace fivefold::upstream {

net::Task<CallResult> call_fastcgi(Call call, process::StringBlock environment) {
  const bool keep = call.home.keeps();
  std::string head;
  gateway::append_fastcgi_begin(gateway::kFastcgiId, keep, environment, head);
  if (!call.has_body) gateway::append_fastcgi_stdin_header(gateway::kFastcgiId, 0, head);
  return CgiExchange::run(
      std::make_unique<CgiExchange>(std::move(call), std::move(head), CgiExchange::Framing::records, keep));
}

}  // namespace fivefold::upstream
