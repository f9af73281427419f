#include "upstream/worker_exchange.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "exchange/unsent.h"
#include "net/short_timer.h"
#include "upstream/worker_answer.h"
#include "upstream/worker_words.h"

namespace fivefold::upstream {

using gateway::CgiHead;
using gateway::worker::Frame;
namespace worker = gateway::worker;

WorkerExchange::WorkerExchange(WorkerCall call)
    : call_(std::move(call)),
      loop_(call_.channel.stream()->loop()),
      world_(call_.exchange.world),
      sender_(loop_, std::move(call_.body), call_.body_length),
      number_(call_.channel.next_number()),
      arrived_(loop_),
      drained_(loop_) {}

net::Task<WorkerResult> call_worker(WorkerCall call, process::StringBlock variables) {
  return WorkerExchange::run(std::make_shared<WorkerExchange>(std::move(call)), std::move(variables));
}

// ---- what comes from the worker ----

std::unexpected<Error> WorkerExchange::nonsense(std::string what) {
  fault_ = Fault::kill;
  return fail(Code::program_failed, std::move(what));
}

// Everything that has come, as far as there is room for it.
Result<void> WorkerExchange::take() {
  while (!idle_ && (discarding_ || output_.size() < call_.buffer)) {
    const auto piece = call_.channel.reader().read(stream().buffered());
    if (!piece) {
      fault_ = Fault::kill;
      return std::unexpected(piece.error());
    }
    if (piece->consumed == 0) break;
    auto taken = take_piece(*piece);
    stream().consume(piece->consumed);
    if (!taken) return taken;
  }
  return {};
}

Result<void> WorkerExchange::take_piece(const gateway::WorkerFrameReader::Piece& piece) {
  if (piece.stream != number_) return {};  // of a request that is over
  any_frame_ = true;
  const bool of_answer = piece.kind == Frame::head || piece.kind == Frame::interim || piece.kind == Frame::output;
  if (of_answer && discarding_) return {};
  switch (piece.kind) {
    case Frame::head:
      if (have_head_ || ended_) return nonsense("The worker sent a second response head.");
      head_text_.append(piece.bytes);
      return piece.whole ? take_head() : Result<void>();
    case Frame::interim:
      if (have_head_ || ended_) return nonsense("The worker sent an interim response behind the head.");
      interim_text_.append(piece.bytes);
      return piece.whole ? take_interim() : Result<void>();
    case Frame::output: {
      if (!have_head_) return nonsense("The worker sent a response body without a head.");
      if (ended_) return {};
      auto bytes = piece.bytes;
      if (left_) {
        bytes = bytes.substr(0, *left_);
        *left_ -= bytes.size();
      }
      output_.append(bytes);
      return {};
    }
    case Frame::end:
      if (ended_) return nonsense("The worker ended its response twice.");
      end_text_.append(piece.bytes);
      if (piece.whole) take_end(piece.flags);
      return {};
    case Frame::idle:
      if (!ended_) return nonsense("The worker wants the next request before it has ended this one.");
      if (piece.flags & worker::kLeaving) call_.owner->leaves();
      idle_ = true;
      return {};
    case Frame::want:
      if (!ended_) sender_.wanted(piece.number);
      return {};
    case Frame::log:
      call_.owner->log(piece.flags & 7, piece.bytes, piece.whole);
      return {};
    default:
      return {};
  }
}

Result<void> WorkerExchange::take_head() {
  head_text_.append("\r\n");
  gateway::CgiHeadParser parser({.head = call_.head_limit + 2, .redirects = call_.cgi_redirects});
  auto parsed = parser.parse(head_text_, head_);
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  if (*parsed != head_text_.size()) return fail(Code::program_failed, "The response head has an empty line within it.");
  have_head_ = true;
  return {};
}

Result<void> WorkerExchange::take_interim() {
  if (++interim_count_ > kMostInterim)
    return fail(Code::program_failed,
                "The program sent more than " + std::to_string(kMostInterim) + " interim responses.");
  http::Headers headers;
  if (const int status = read_interim(interim_text_, headers); status > 101)
    interims_.emplace_back(status, std::move(headers));
  interim_text_.clear();
  return {};
}

void WorkerExchange::take_end(std::uint8_t flags) {
  ended_ = true;
  sender_.stop();
  if (flags & worker::kLeaving) call_.owner->leaves();
  idle_ = (flags & (worker::kIdle | worker::kLeaving)) != 0;
  broken_ = error_of_end(flags, end_text_, have_head_);
  if (!broken_) broken_ = cut_short();
}

std::optional<Error> WorkerExchange::cut_short() const {
  if (discarding_ || left_.value_or(0) == 0) return std::nullopt;
  return Error{Code::program_failed, "The script ended its answer " + std::to_string(*left_) +
                                         " bytes before the length that it had announced."};
}

// Waits for bytes. False: the answer pauses.
net::Task<Result<bool>> WorkerExchange::more() {
  while (true) {
    if (sender_.failure() && !discarding_) co_return std::unexpected(*sender_.failure());
    if (loop_.now() >= call_.hard) co_return std::unexpected(late());
    auto got = co_await stream().fill(call_.hard);
    if (got && *got > 0) co_return true;
    if (!got && std::exchange(pause_due_, false)) co_return false;
    if (!got && got.error().code == Code::timed_out) continue;  // late, or the sender has failed
    fault_ = Fault::died;
    co_return fail(Code::program_failed, have_head_ ? "The worker ended in the midst of its answer."
                                                    : "The worker ended before it had answered.");
  }
}

Error WorkerExchange::late() {
  fault_ = Fault::kill;
  return {Code::program_timeout,
          "The request was not done within its time (timeout), and the script could not be stopped."};
}

// ---- the answer ----

net::Task<Result<void>> WorkerExchange::until_head() {
  while (true) {
    if (auto taken = take(); !taken) co_return taken;
    for (auto& [status, headers] : std::exchange(interims_, {}))
      co_await call_.exchange.send_interim(status, std::move(headers));
    if (have_head_) co_return Result<void>();
    if (broken_) co_return std::unexpected(*broken_);
    auto came = co_await more();
    if (!came) co_return std::unexpected(std::move(came.error()));
  }
}

// Whether all of the body has come. An error: nothing of the answer has been passed on yet.
net::Task<Result<bool>> WorkerExchange::until_whole() {
  std::optional<net::ShortTimer> pause;
  while (!ended_ && left_ != 0 && output_.size() <= kWholeBody && left_.value_or(0) <= kWholeBody) {
    if (!pause) {
      pause.emplace(
          loop_,
          [](void* context) {
            auto* self = static_cast<WorkerExchange*>(context);
            self->pause_due_ = true;
            if (auto* stream = self->call_.channel.stream()) stream->interrupt();
          },
          this);
      pause->set(kFlushAfter);
    }
    auto came = co_await more();
    if (!came) co_return std::unexpected(std::move(came.error()));
    if (!*came) break;
    if (auto taken = take(); !taken) co_return std::unexpected(std::move(taken.error()));
  }
  pause_due_ = false;
  if (broken_) co_return std::unexpected(*broken_);
  co_return ended_ || left_ == 0;
}

net::Task<WorkerResult> WorkerExchange::run(std::shared_ptr<WorkerExchange> exchange, process::StringBlock variables) {
  WorkerExchange& self = *exchange;
  if (!self.send(std::move(variables))) {
    self.fault_ = Fault::died;
    co_return std::unexpected(self.failed({Code::program_failed, "The worker had ended before it took the request."}));
  }
  self.call_.owner->sent();
  auto result = co_await answer(std::move(exchange));
  co_return result;
}

Result<void> WorkerExchange::send(process::StringBlock variables) {
  call_.channel.claims().offer(number_);
  return sender_.start(call_.channel, number_, milliseconds_until(call_.soft, loop_.now()),
                       call_.method == http::Method::head, std::move(variables));
}

std::shared_ptr<WorkerExchange> WorkerExchange::send_ahead(WorkerCall call, process::StringBlock variables,
                                                           exchange::Body& body) {
  auto exchange = std::make_shared<WorkerExchange>(std::move(call));
  if (exchange->send(std::move(variables))) return exchange;
  body = exchange->sender_.take_body();
  return nullptr;
}

bool WorkerExchange::take_back(exchange::Body& body, bool gone) {
  // One that is not out whole cannot be: the rest of its frame is still owed.
  if ((sender_.mid_frame() && !gone) || !call_.channel.claims().take_back(number_)) return false;
  returned_ = true;
  sender_.close();
  body = sender_.take_body();
  return true;
}

net::Task<WorkerResult> WorkerExchange::go_on_with(std::shared_ptr<WorkerExchange> exchange,
                                                   std::unique_ptr<WorkerOwner> owner) {
  exchange->call_.owner = std::move(owner);
  return answer(std::move(exchange));
}

void WorkerExchange::abandon_with(std::unique_ptr<WorkerOwner> owner) {
  call_.owner = std::move(owner);
  returned_ = true;
  abandon();
}

net::Task<WorkerResult> WorkerExchange::answer(std::shared_ptr<WorkerExchange> exchange) {
  WorkerExchange& self = *exchange;
  const LeavingClient<WorkerExchange> leaving(self);
  const bool head_only = self.call_.method == http::Method::head;
  auto got = co_await self.until_head();
  if (!got) co_return std::unexpected(self.failed(std::move(got.error())));
  CgiHead& head = self.head_;
  Answer answer{.status = head.status, .reason = std::move(head.reason), .headers = std::move(head.headers)};
  answer.local_target = std::move(head.local_target);
  answer.send_file = std::move(head.send_file);
  answer.client_redirect_without_document = head.kind == CgiHead::Kind::client_redirect;

  const bool bodyless = head.status == 204 || head.status == 304;  // RFC 9110 sections 15.3.5, 15.4.5
  if (bodyless || head_only || head.kind == CgiHead::Kind::local_redirect) {
    if (head_only && !bodyless)
      answer.body = exchange::Body::stream(std::make_unique<exchange::Unsent>(head.content_length));
    self.returned_ = true;
    self.discard();
    co_return answer;
  }
  self.left_ = self.unsent_ = head.content_length;
  if (self.left_) {  // what had come behind the head
    if (self.output_.size() > *self.left_) self.output_.resize(*self.left_);
    *self.left_ -= self.output_.size();
    if (self.ended_ && !self.broken_) self.broken_ = self.cut_short();
  }
  auto whole = co_await self.until_whole();
  if (!whole) co_return std::unexpected(self.failed(std::move(whole.error())));
  self.returned_ = true;
  if (*whole) {
    if (!self.output_.empty()) answer.body = exchange::Body::text(std::move(self.output_));
    self.output_.clear();
    self.discard();
    co_return answer;
  }
  answer.body = exchange::Body::stream(std::make_unique<AnswerBody<WorkerExchange>>(exchange));
  self.go_on();
  co_return answer;
}

WorkerFailure WorkerExchange::failed(Error error) {
  returned_ = true;
  WorkerFailure failure{.error = std::move(error)};
  failure.unread = fault_ == Fault::died && !any_frame_ && call_.channel.claims().take_back(number_);
  failure.body_touched = sender_.body_touched();
  if (failure.unread && !failure.body_touched) failure.body = sender_.take_body();
  if (fault_ == Fault::none)
    abandon();
  else
    lose_worker(failure.error);
  return failure;
}

// ---- its body, streamed ----

net::Task<Result<exchange::Chunk>> WorkerExchange::next() {
  while (output_.empty() && !broken_ && !ended_ && left_ != 0) co_await arrived_.wait();
  if (output_.empty()) {
    if (broken_) co_return std::unexpected(*broken_);
    co_return exchange::Chunk{};
  }
  passed_on_.clear();
  passed_on_.swap(output_);
  drained_.set();
  if (unsent_) *unsent_ -= passed_on_.size();
  co_return exchange::Chunk(passed_on_);
}

void WorkerExchange::go_on() {
  if (std::exchange(pumping_, true)) return;
  call_.owner->outlives_request();
  world_.background.start(pump(shared_from_this()));
}

net::Task<void> WorkerExchange::pump(std::shared_ptr<WorkerExchange> exchange) {
  WorkerExchange& self = *exchange;
  while (true) {
    if (auto taken = self.take(); !taken) co_return self.break_off(std::move(taken.error()));
    self.tell_of_break();
    if (!self.output_.empty() || self.ended_) self.arrived_.set();
    if (self.idle_ && !self.sender_.mid_frame()) break;
    if (self.loop_.now() >= self.call_.hard) co_return self.break_off(self.late());
    if (self.idle_) {
      co_await self.sender_.quiet().wait(self.call_.hard);
    } else if (!self.discarding_ && self.output_.size() >= self.call_.buffer) {
      co_await self.drained_.wait(self.call_.hard);
    } else {
      auto came = co_await self.more();
      if (came) continue;
      if (self.fault_ != Fault::none) co_return self.break_off(std::move(came.error()));
      self.broken_ = std::move(came.error());  // the client's own
      self.told_ = true;
      self.arrived_.set();
      self.abandon();
    }
  }
  self.release();
}

void WorkerExchange::discard() {
  if (!call_.owner) return;
  discarding_ = true;
  output_.clear();
  drained_.set();
  if (pumping_) return;
  if (idle_ && !sender_.mid_frame()) return release();
  go_on();
}

void WorkerExchange::abandon() {
  if (!call_.owner) return;
  if (!ended_ && !std::exchange(discarding_, true)) sender_.abandon();
  discard();
}

void WorkerExchange::break_off(Error error) {
  if (!broken_) broken_ = error;
  tell_of_break();
  lose_worker(error);
  arrived_.set();
}

void WorkerExchange::tell_of_break() {
  if (broken_ && !discarding_ && call_.owner && !std::exchange(told_, true)) call_.owner->broke(*broken_);
}

void WorkerExchange::lose_worker(const Error& error) {
  if (!call_.owner) return;
  if (fault_ == Fault::kill)
    call_.owner->kill(error.message);
  else
    call_.owner->died(error);
  sender_.close();
  call_.channel.close();
  call_.owner.reset();
}

// The worker is another's from here on.
void WorkerExchange::release() {
  sender_.close();
  call_.owner.reset();
}

}  // namespace fivefold::upstream
