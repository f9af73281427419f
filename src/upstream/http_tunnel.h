#pragma once
// An upgraded connection to an application: bytes both ways.
#include <memory>

#include "exchange/tunnel.h"
#include "upstream/http_exchange.h"

namespace fivefold::upstream {

class HttpTunnel final : public exchange::Tunnel {
 public:
  explicit HttpTunnel(std::unique_ptr<HttpExchange> exchange) : exchange_(std::move(exchange)) {}
  net::Task<Result<std::string_view>> next() override;
  net::Task<Result<void>> send(std::string_view bytes) override;
  void finish_sending() override;
  std::chrono::milliseconds idle_timeout() const override { return exchange_->timeouts().tunnel; }

 private:
  std::unique_ptr<HttpExchange> exchange_;  // connection and owner, until this ends
  std::size_t handed_out_ = 0;
};

}  // namespace fivefold::upstream
