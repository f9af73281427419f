#pragma once
// What a HEAD is answered with: a length, when the application has said one, and no byte.
#include <cstdint>
#include <optional>

#include "exchange/body.h"

namespace fivefold::upstream {

class AnnouncedBody final : public exchange::BodySource {
 public:
  explicit AnnouncedBody(std::optional<std::uint64_t> length) : length_(length) {}
  net::Task<Result<exchange::Chunk>> next() override { co_return exchange::Chunk{}; }
  std::optional<std::uint64_t> length() const override { return length_; }

 private:
  std::optional<std::uint64_t> length_;
};

}  // namespace fivefold::upstream
