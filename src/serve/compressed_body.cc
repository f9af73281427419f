#include "serve/compressed_body.h"

namespace fivefold::serve {
namespace {

// co_await: goes to the back of the loop's queue. May be destroyed while it waits.
class NextTurn {
 public:
  explicit NextTurn(net::Loop& loop) : loop_(loop) {}
  NextTurn(const NextTurn&) = delete;
  ~NextTurn() {
    if (waiter_) *waiter_ = nullptr;
  }
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> awaiting) {
    waiter_ = std::make_shared<std::coroutine_handle<>>(awaiting);
    loop_.post([waiter = waiter_] {
      if (*waiter) std::exchange(*waiter, nullptr).resume();
    });
  }
  void await_resume() const {}

 private:
  net::Loop& loop_;
  std::shared_ptr<std::coroutine_handle<>> waiter_;
};

}  // namespace

bool CompressorCount::take() {
  if (taken_.fetch_add(1, std::memory_order_relaxed) < limit_) return true;
  give_back();
  return false;
}

CompressedBody::CompressedBody(exchange::Body inner, std::unique_ptr<Compressor> compressor, bool flush_chunks,
                               std::shared_ptr<CompressorCount> count, net::Loop& loop)
    : inner_(std::move(inner)),
      compressor_(std::move(compressor)),
      flush_chunks_(flush_chunks),
      count_(std::move(count)),
      loop_(loop) {}

CompressedBody::~CompressedBody() { count_->give_back(); }

void CompressedBody::keep_trailers() {
  const auto* source = inner_.as_stream();
  const auto* trailers = source != nullptr ? source->trailers() : nullptr;
  if (trailers == nullptr) return;
  trailers_ = *trailers;
  for (const auto name : {"Content-Digest", "Repr-Digest", "Digest", "Content-MD5", "ETag"}) trailers_.remove(name);
}

const http::Headers* CompressedBody::trailers() const { return trailers_.empty() ? nullptr : &trailers_; }

net::Task<Result<exchange::Chunk>> CompressedBody::next() {
  output_.clear();
  while (output_.empty() && !finished_) {
    if (turn_ >= kTurn) {
      turn_ = 0;
      co_await NextTurn(loop_);
    }
    if (input_.empty()) {
      auto chunk = co_await inner_.next();
      if (!chunk) co_return std::unexpected(std::move(chunk.error()));
      input_ = *chunk;
      finished_ = input_.empty();
      if (finished_) keep_trailers();
    }
    const auto piece = input_.substr(0, kPiece);
    input_.remove_prefix(piece.size());
    turn_ += piece.size();
    const bool flush = flush_chunks_ && input_.empty();
    const auto step = finished_ ? Compressor::Step::finish : flush ? Compressor::Step::flush : Compressor::Step::go_on;
    if (auto done = compressor_->compress(piece, step, output_); !done)
      co_return std::unexpected(std::move(done.error()));
  }
  co_return exchange::Chunk(output_);
}

}  // namespace fivefold::serve
