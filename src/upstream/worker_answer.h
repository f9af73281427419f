#pragma once
// What the exchanges of both kinds of channel to a worker hand to whoever reads their answer.
#include <memory>
#include <optional>
#include <utility>

#include "exchange/body.h"

namespace fivefold::upstream {

// The body of a response that is streamed. A reader who stops before its end abandons the exchange.
template <class Exchange>
class AnswerBody final : public exchange::BodySource {
 public:
  explicit AnswerBody(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  ~AnswerBody() override { exchange_->complete() ? exchange_->discard() : exchange_->abandon(); }
  net::Task<Result<exchange::Chunk>> next() override { return exchange_->next(); }
  std::optional<std::uint64_t> length() const override { return exchange_->length(); }

 private:
  std::shared_ptr<Exchange> exchange_;
};

// Ends a request whose client leaves before there is an answer.
template <class Exchange>
class LeavingClient {
 public:
  explicit LeavingClient(Exchange& exchange) : exchange_(exchange) {}
  LeavingClient(const LeavingClient&) = delete;
  LeavingClient& operator=(const LeavingClient&) = delete;
  ~LeavingClient() {
    if (!exchange_.returned()) exchange_.abandon();
  }

 private:
  Exchange& exchange_;
};

}  // namespace fivefold::upstream
