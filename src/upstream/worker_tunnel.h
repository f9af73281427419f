#pragma once
// A WebSocket that a worker has taken: its bytes, both ways.
#include <memory>

#include "exchange/tunnel.h"
#include "upstream/worker_stream_exchange.h"

namespace fivefold::upstream {

class WorkerTunnel final : public exchange::Tunnel {
 public:
  explicit WorkerTunnel(std::shared_ptr<StreamExchange> exchange) : exchange_(std::move(exchange)) {}
  ~WorkerTunnel() override { exchange_->abandon(); }
  net::Task<Result<std::string_view>> next() override { return exchange_->next(); }
  net::Task<Result<void>> send(std::string_view bytes) override { return exchange_->send(bytes); }
  void finish_sending() override { exchange_->finish_sending(); }
  std::chrono::milliseconds idle_timeout() const override { return exchange_->tunnel_timeout(); }

 private:
  std::shared_ptr<StreamExchange> exchange_;  // and with it the worker's lease, until the worker has done with it
};

}  // namespace fivefold::upstream
