#include "upstream/worker_stream_exchange.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "exchange/unsent.h"
#include "upstream/worker_answer.h"
#include "upstream/worker_tunnel.h"
#include "upstream/worker_words.h"

namespace fivefold::upstream {

using gateway::CgiHead;
using gateway::worker::Frame;
namespace worker = gateway::worker;

namespace {

constexpr std::size_t kWithRequest = 64 * 1024;  // of a body in memory; the rest is sent when asked for
constexpr std::size_t kCreditAt = worker::kFirstWindow / 2;

std::unexpected<Error> nonsense(std::string what) { return fail(Code::program_failed, std::move(what)); }

}  // namespace

StreamExchange::StreamExchange(StreamCall call)
    : call_(std::move(call)),
      streams_(call_.streams),
      loop_(streams_->loop()),
      window_(worker::kFirstWindow),
      arrived_(*streams_),
      room_(*streams_),
      hard_(loop_.timers(), &StreamExchange::time_is_up, this) {}

StreamExchange::~StreamExchange() = default;

net::Task<WorkerResult> call_worker_stream(StreamCall call, process::StringBlock variables) {
  return StreamExchange::run(std::make_shared<StreamExchange>(std::move(call)), std::move(variables));
}

// ---- what comes from the worker ----

Result<void> StreamExchange::take(const gateway::WorkerFrameReader::Piece& piece) {
  any_frame_ = true;
  switch (piece.kind) {
    case Frame::head:
      if (have_head_ || ended_) return nonsense("The worker sent a second response head.");
      head_text_.append(piece.bytes);
      if (!piece.whole) return {};
      if (auto taken = take_head(); !taken) return taken;
      break;
    case Frame::interim:
      if (have_head_ || ended_) return nonsense("The worker sent an interim response behind the head.");
      interim_text_.append(piece.bytes);
      if (!piece.whole) return {};
      if (auto taken = take_interim(); !taken) return taken;
      break;
    case Frame::output:
      if (auto taken = take_output(piece.bytes); !taken) return taken;
      break;
    case Frame::end:
      if (ended_) return nonsense("The worker ended its response twice.");
      end_text_.append(piece.bytes);
      if (!piece.whole) return {};
      take_end(piece.flags);
      break;
    case Frame::idle:
      if (!ended_) return nonsense("The worker says that it is done with a response that it has not ended.");
      if (piece.flags & worker::kLeaving) call_.owner->leaves();
      release();
      return {};
    case Frame::want:
      if (ended_ || piece.number == 0) return {};
      wanted_ += piece.number;
      room_.wake();
      return {};
    case Frame::log:
      call_.owner->log(piece.flags & 7, piece.bytes, piece.whole);
      return {};
    default:
      return {};
  }
  arrived_.wake();
  return {};
}

Result<void> StreamExchange::take_head() {
  if (call_.upgrade) {
    http::Headers headers;
    if (read_interim(head_text_, headers) == 101) {
      have_head_ = switched_ = true;
      head_.status = 101;
      headers.remove("Connection");
      headers.set("Upgrade", "websocket");
      head_.headers = std::move(headers);
      hard_.cancel();
      body_over_ = false;
      return {};
    }
  }
  head_text_.append("\r\n");
  gateway::CgiHeadParser parser({.head = call_.head_limit + 2, .redirects = false});
  auto parsed = parser.parse(head_text_, head_);
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  if (*parsed != head_text_.size()) return nonsense("The response head has an empty line within it.");
  have_head_ = true;
  return {};
}

Result<void> StreamExchange::take_interim() {
  if (++interim_count_ > kMostInterim)
    return nonsense("The program sent more than " + std::to_string(kMostInterim) + " interim responses.");
  http::Headers headers;
  if (const int status = read_interim(interim_text_, headers); status > 101)
    interims_.emplace_back(status, std::move(headers));
  interim_text_.clear();
  return {};
}

Result<void> StreamExchange::take_output(std::string_view bytes) {
  if (!have_head_) return nonsense("The worker sent a response body without a head.");
  if (bytes.size() > window_) return nonsense("The worker sent more of a response than its window allows.");
  window_ -= static_cast<std::uint32_t>(bytes.size());
  const auto all = bytes.size();
  if (ended_ || discarding_) bytes = {};
  if (left_) {
    bytes = bytes.substr(0, *left_);
    *left_ -= bytes.size();
  }
  output_.append(bytes);
  if (bytes.size() < all) credit(all - bytes.size());
  return {};
}

void StreamExchange::take_end(std::uint8_t flags) {
  ended_ = true;
  stop_body();
  body_over_ = true;
  if (flags & worker::kLeaving) call_.owner->leaves();
  broken_ = error_of_end(flags, end_text_, have_head_);
  if (!broken_) broken_ = cut_short();
  if (broken_ && returned_ && !discarding_) call_.owner->broke(*broken_);
  room_.wake();
  if (flags & (worker::kIdle | worker::kLeaving)) release();
}

std::optional<Error> StreamExchange::cut_short() const {
  if (discarding_ || left_.value_or(0) == 0) return std::nullopt;
  return Error{Code::program_failed, "The script ended its answer " + std::to_string(*left_) +
                                         " bytes before the length that it had announced."};
}

// So many bytes have been used, or dropped.
void StreamExchange::credit(std::size_t bytes) {
  consumed_ += bytes;
  if (consumed_ < kCreditAt || ended_ || number_ == 0) return;
  window_ += static_cast<std::uint32_t>(consumed_);
  gateway::append_worker_window(number_, static_cast<std::uint32_t>(std::exchange(consumed_, 0)), streams_->out());
  streams_->said();
}

void StreamExchange::lost(const Error& error, Loss loss) {
  const auto keep = shared_from_this();
  number_ = 0;
  hard_.cancel();
  unread_ = !any_frame_ && (streams_->left() <= begins_ || loss == Loss::reset);
  stop_body();
  const auto owner = std::move(call_.owner);
  if (!owner) return;
  if (!ended_ && left_ != 0) {
    broken_ = error;
    if (returned_ && !discarding_) owner->broke(error);
  }
  if (loss == Loss::kill)
    owner->kill(error.message);
  else
    owner->died(error);
  arrived_.wake();
  room_.wake();
}

void StreamExchange::drop() {
  const auto keep = shared_from_this();
  number_ = 0;
  hard_.cancel();
  stop_body();
  call_.owner.reset();
}

void StreamExchange::time_is_up(void* context) {
  auto& self = *static_cast<StreamExchange*>(context);
  const auto keep = self.shared_from_this();
  self.streams_->kill(
      self, {Code::program_timeout, "The request was not done within its time (timeout), and could not be stopped."});
}

// ---- what goes to the worker ----

void StreamExchange::begin(const process::StringBlock& variables) {
  number_ = streams_->enter(shared_from_this(), call_.exchange.world);
  begins_ = streams_->appended();
  const auto* bytes = call_.body.as_bytes();
  const std::size_t first = bytes ? std::min({bytes->view.size(), gateway::room_for_body(variables), kWithRequest}) : 0;
  body_over_ = call_.body.empty() || (bytes && first == bytes->view.size());
  std::string& out = streams_->out();
  gateway::append_worker_request(
      {.stream = number_,
       .body_length = call_.body.empty() ? 0 : call_.body_length.value_or(worker::kUnknownLength),
       .time_limit_ms = milliseconds_until(call_.soft, loop_.now()),
       .first_body = first,
       .body_ends = body_over_,
       .head = call_.method == http::Method::head,
       .windowed = true,
       .upgrade = call_.upgrade},
      variables, out);
  out.append(variables.bytes());
  if (first > 0) out.append(bytes->view.substr(0, first));
  sent_ = first;
  streams_->said();
  if (call_.hard != net::kNever) hard_.set(call_.hard);
  if (!body_over_) feeder_ = net::Running(feed());
}

void StreamExchange::append_body(std::string_view bytes, bool last) {
  gateway::append_worker_body_header(number_, bytes.size(), last, streams_->out());
  streams_->out().append(bytes);
  streams_->said();
  body_over_ = last;
}

// Its memory, and whoever it comes from, may go.
void StreamExchange::stop_body() {
  feeder_ = {};
  if (!unread_) call_.body = {};
}

net::Task<void> StreamExchange::feed() {
  const auto* bytes = call_.body.as_bytes();
  while (!body_over_) {
    if (wanted_ == 0 || !streams_->has_room()) {
      co_await room_.wait();
      continue;
    }
    std::string_view chunk;
    bool last = false;
    if (bytes) {
      chunk = bytes->view.substr(sent_);
    } else {
      touched_ = true;
      auto got = co_await call_.body.next();
      const auto& length = call_.body_length;
      if (got && length && (got->empty() ? sent_ != *length : got->size() > *length - sent_))
        got = fail(Code::bad_request, "the request's body does not have the length that its Content-Length says");
      if (!got) {
        body_failure_ = std::move(got.error());
        arrived_.wake();
        co_return;
      }
      chunk = *got;
      last = chunk.empty() || (length && sent_ + chunk.size() == *length);
    }
    // More than was asked for is kept back: the chunk lives until the next one is asked for.
    do {
      while (wanted_ == 0 || !streams_->has_room()) co_await room_.wait();
      const auto piece = chunk.substr(0, std::min<std::uint64_t>({chunk.size(), wanted_, worker::kMostOutput}));
      chunk.remove_prefix(piece.size());
      wanted_ -= piece.size();
      sent_ += piece.size();
      append_body(piece, chunk.empty() && (last || bytes));
    } while (!chunk.empty());
  }
}

net::Task<Result<void>> StreamExchange::send(std::string_view bytes) {
  while (!bytes.empty()) {
    if (ended_ || number_ == 0) co_return fail(Code::closed, "the worker takes nothing more");
    if (wanted_ == 0 || !streams_->has_room()) {
      co_await room_.wait();
      continue;
    }
    const auto piece = bytes.substr(0, std::min<std::uint64_t>({bytes.size(), wanted_, worker::kMostOutput}));
    bytes.remove_prefix(piece.size());
    wanted_ -= piece.size();
    append_body(piece, false);
  }
  co_return Result<void>();
}

void StreamExchange::finish_sending() {
  if (!ended_ && number_ != 0 && !body_over_) append_body({}, true);
}

// ---- the answer ----

net::Task<Result<void>> StreamExchange::until_head() {
  while (true) {
    for (auto& [status, headers] : std::exchange(interims_, {}))
      co_await call_.exchange.send_interim(status, std::move(headers));
    if (have_head_) co_return Result<void>();
    if (broken_) co_return std::unexpected(*broken_);
    if (body_failure_) co_return std::unexpected(*body_failure_);
    if (interims_.empty()) co_await arrived_.wait();
  }
}

// Whether all of the body has come. An error: nothing of the answer has been passed on yet.
net::Task<Result<bool>> StreamExchange::until_whole() {
  std::optional<net::ShortTimer> pause;
  while (!ended_ && !broken_ && left_ != 0 && output_.size() <= kWholeBody && left_.value_or(0) <= kWholeBody) {
    if (pause_over_) break;
    if (body_failure_) co_return std::unexpected(*body_failure_);
    if (!pause) {
      pause.emplace(
          loop_,
          [](void* context) {
            auto* self = static_cast<StreamExchange*>(context);
            self->pause_over_ = true;
            self->arrived_.wake();
          },
          this);
      pause->set(kFlushAfter);
    }
    co_await arrived_.wait();
  }
  if (broken_) co_return std::unexpected(*broken_);
  co_return ended_ || left_ == 0;
}

net::Task<WorkerResult> StreamExchange::run(std::shared_ptr<StreamExchange> exchange, process::StringBlock variables) {
  StreamExchange& self = *exchange;
  const LeavingClient<StreamExchange> leaving(self);
  self.begin(variables);
  auto got = co_await self.until_head();
  if (!got) co_return std::unexpected(self.failed(std::move(got.error())));
  CgiHead& head = self.head_;
  Answer answer{.status = head.status, .reason = std::move(head.reason), .headers = std::move(head.headers)};
  answer.send_file = std::move(head.send_file);
  if (self.switched_) {
    answer.tunnel = std::make_unique<WorkerTunnel>(exchange);
    self.keep_for_later();
    co_return answer;
  }
  const bool head_only = self.call_.method == http::Method::head;
  const bool bodyless = head.status == 204 || head.status == 304;  // RFC 9110 sections 15.3.5, 15.4.5
  if (bodyless || head_only) {
    if (head_only && !bodyless)
      answer.body = exchange::Body::stream(std::make_unique<exchange::Unsent>(head.content_length));
    self.keep_for_later();
    self.discard();
    co_return answer;
  }
  self.left_ = self.unsent_ = head.content_length;
  if (self.left_) {  // what had come behind the head
    if (self.output_.size() > *self.left_) self.output_.resize(*self.left_);
    *self.left_ -= self.output_.size();
    if (self.ended_ && !self.broken_) self.broken_ = self.cut_short();
  }
  if (!self.ended_ || self.broken_) {
    auto whole = co_await self.until_whole();
    if (!whole) co_return std::unexpected(self.failed(std::move(whole.error())));
    if (!*whole) {
      answer.body = exchange::Body::stream(std::make_unique<AnswerBody<StreamExchange>>(exchange));
      self.keep_for_later();
      co_return answer;
    }
  }
  if (!self.output_.empty()) answer.body = exchange::Body::text(std::move(self.output_));
  self.output_.clear();
  self.keep_for_later();
  self.discard();
  co_return answer;
}

void StreamExchange::keep_for_later() {
  returned_ = true;
  if (call_.owner) call_.owner->outlives_request();
}

WorkerFailure StreamExchange::failed(Error error) {
  returned_ = true;
  WorkerFailure failure{.error = std::move(error)};
  failure.body_touched = touched_;
  failure.unread = unread_;
  if (unread_ && !touched_) failure.body = std::move(call_.body);
  abandon();
  return failure;
}

// ---- its body, streamed ----

net::Task<Result<exchange::Chunk>> StreamExchange::next() {
  credit(passed_on_.size());
  passed_on_.clear();
  while (output_.empty() && !broken_ && !ended_ && left_ != 0) {
    if (body_failure_) co_return std::unexpected(*body_failure_);
    co_await arrived_.wait();
  }
  if (output_.empty()) {
    if (broken_) co_return std::unexpected(*broken_);
    co_return exchange::Chunk{};
  }
  passed_on_.swap(output_);
  if (unsent_) *unsent_ -= passed_on_.size();
  co_return exchange::Chunk(passed_on_);
}

void StreamExchange::discard() {
  if (!body_over_ && !ended_ && number_ != 0) {
    gateway::append_worker_signal(Frame::body_broken, number_, streams_->out());
    streams_->said();
  }
  body_over_ = true;
  unread_ = false;
  stop_body();
  discarding_ = true;
  const auto dropped = output_.size() + std::exchange(passed_on_, {}).size();
  output_ = {};
  credit(dropped);
}

void StreamExchange::abandon() {
  const bool told = std::exchange(discarding_, true);
  discard();
  if (told || ended_ || number_ == 0) return;
  gateway::append_worker_signal(Frame::abort, number_, streams_->out());
  streams_->said();
}

// The worker has done with it.
void StreamExchange::release() {
  hard_.cancel();
  call_.owner.reset();
  streams_->leave(std::exchange(number_, 0));  // whoever calls holds this
}

}  // namespace fivefold::upstream
