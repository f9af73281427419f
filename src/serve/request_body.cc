#include "serve/request_body.h"

namespace fivefold::serve {
namespace {

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// A read ends the watch. However it ends, by bytes, by an error or by being let go of, it is taken up again.
struct WatchAgain {
  net::Stream& stream;
  net::StopSource& watch;
  const bool& watching;
  ~WatchAgain() {
    if (watching) stream.watch_close(watch);
  }
};

class ConnectionBody final : public exchange::BodySource {
 public:
  explicit ConnectionBody(BodyReader& reader) : reader_(reader) {}
  net::Task<Result<exchange::Chunk>> next() override { return reader_.next(); }
  std::optional<std::uint64_t> length() const override { return reader_.left(); }

 private:
  BodyReader& reader_;
};

}  // namespace

BodyReader::BodyReader(net::Stream& stream, InterimWriter& interim, const http::Head& head, Limits limits,
                       net::StopSource& watch)
    : stream_(stream),
      interim_(interim),
      limits_(limits),
      watch_(watch),
      chunked_(head.chunked),
      expect_continue_(head.expect_continue),
      finished_(!head.has_body()),
      left_(head.content_length.value_or(0)) {}

exchange::Body BodyReader::body() {
  return finished_ ? exchange::Body() : exchange::Body::stream(std::make_unique<ConnectionBody>(*this));
}

void BodyReader::release() {
  stream_.consume(handed_out_);
  handed_out_ = 0;
}

Result<void> BodyReader::check_rate() const {
  const auto elapsed = stream_.loop().now() - began_;
  if (limits_.min_rate == 0 || elapsed < limits_.grace) return {};
  const auto seconds = std::chrono::duration<double>(elapsed).count();
  if (static_cast<double>(received_) >= static_cast<double>(limits_.min_rate) * seconds) return {};
  return fail(Code::request_timeout, "the request body comes too slowly");
}

net::Task<Result<exchange::Chunk>> BodyReader::next() {
  release();
  if (!started_) {
    started_ = true;
    began_ = stream_.loop().now();
    if (expect_continue_ && !finished_ && stream_.buffered().empty()) interim_.must_send(kContinue);
  }
  while (!finished_) {
    const std::string_view bytes = stream_.buffered();
    if (!chunked_ && !bytes.empty()) {
      const auto chunk = bytes.substr(0, std::min<std::uint64_t>(left_, bytes.size()));
      handed_out_ = chunk.size();
      left_ -= chunk.size();
      received_ += chunk.size();
      if (left_ == 0) finished_ = true;
      co_return chunk;
    }
    if (chunked_ && !bytes.empty()) {
      auto step = decoder_.decode(bytes);
      if (!step) co_return std::unexpected(std::move(step.error()));
      if (step->done) finished_ = true;
      received_ += step->data.size();
      if (received_ > limits_.size || decoder_.announced() > limits_.size - received_)
        co_return fail(Code::content_too_large,
                       "the request body is larger than " + std::to_string(limits_.size) + " bytes");
      if (!step->data.empty()) {
        handed_out_ = step->consumed;
        co_return step->data;
      }
      stream_.consume(step->consumed);
      if (step->consumed > 0 || finished_) continue;
    }
    const WatchAgain watch_again{stream_, watch_, watching_};
    auto got = co_await stream_.fill(stream_.loop().now() + limits_.silence);
    if (!got && got.error().code == Code::timed_out)
      co_return fail(Code::request_timeout, "the request body did not come in time");
    if (!got) co_return std::unexpected(std::move(got.error()));
    if (*got == 0) co_return fail(Code::closed, "the client closed the connection before the end of the request body");
    if (auto rate = check_rate(); !rate) co_return std::unexpected(std::move(rate.error()));
  }
  co_return exchange::Chunk{};
}

}  // namespace fivefold::serve
