#pragma once
// A body that is compressed while it is sent.
#include <atomic>
#include <memory>
#include <string>

#include "exchange/body.h"
#include "net/loop.h"
#include "serve/compressor.h"

namespace fivefold::serve {

// Counts the compressors at work, so that many slow clients cannot fill the memory with them.
class CompressorCount {
 public:
  explicit CompressorCount(std::size_t limit) : limit_(limit) {}
  // Takes a place, or not when all are taken.
  bool take();
  void give_back() { taken_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  std::size_t limit_;
  std::atomic<std::size_t> taken_{0};
};

class CompressedBody final : public exchange::BodySource {
 public:
  static constexpr std::size_t kPiece = 32768;      // input compressed at a time
  static constexpr std::size_t kTurn = 2 * kPiece;  // input compressed before the loop may do something else

  // Owns a place in `count`. With `flush_chunks` whatever `inner` gives goes out at once: it may wait for long after
  // it.
  CompressedBody(exchange::Body inner, std::unique_ptr<Compressor> compressor, bool flush_chunks,
                 std::shared_ptr<CompressorCount> count, net::Loop& loop);
  ~CompressedBody() override;
  net::Task<Result<exchange::Chunk>> next() override;
  // Those of the inner body, without what was said of its bytes as they were before (RFC 9530).
  const http::Headers* trailers() const override;

 private:
  void keep_trailers();
  exchange::Body inner_;
  http::Headers trailers_;
  std::unique_ptr<Compressor> compressor_;
  bool flush_chunks_;
  std::shared_ptr<CompressorCount> count_;
  net::Loop& loop_;
  exchange::Chunk input_;  // what is left of the last chunk of inner_
  std::size_t turn_ = 0;
  bool finished_ = false;
  std::string output_;
};

}  // namespace fivefold::serve
