#pragma once
// The body of an answer to HEAD: its length may be known, its bytes are never asked for.
#include <optional>

#include "exchange/body.h"

namespace fivefold::exchange {

class Unsent final : public BodySource {
 public:
  explicit Unsent(std::optional<std::uint64_t> length) : length_(length) {}
  net::Task<Result<Chunk>> next() override { co_return Chunk{}; }
  std::optional<std::uint64_t> length() const override { return length_; }

 private:
  std::optional<std::uint64_t> length_;
};

}  // namespace fivefold::exchange
