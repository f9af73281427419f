#include "upstream/http_tunnel.h"

namespace fivefold::upstream {

net::Task<Result<std::string_view>> HttpTunnel::next() {
  net::Stream& stream = exchange_->stream();
  stream.consume(handed_out_);
  handed_out_ = 0;
  if (stream.buffered().empty()) {
    stream.adapt();  // most tunnels are idle most of the time
    auto got = co_await stream.fill();
    if (!got) co_return std::unexpected(std::move(got.error()));
    if (*got == 0) co_return std::string_view{};
  }
  handed_out_ = stream.buffered().size();
  co_return stream.buffered();
}

net::Task<Result<void>> HttpTunnel::send(std::string_view bytes) {
  return exchange_->stream().write_all(bytes, exchange_->timeouts().tunnel);
}

void HttpTunnel::finish_sending() { exchange_->stream().shutdown_write(); }

}  // namespace fivefold::upstream
