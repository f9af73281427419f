#include "upstream/cgi_exchange.h"

#include <algorithm>

#include "exchange/unsent.h"
#include "upstream/words.h"

namespace fivefold::upstream {
namespace {

using gateway::CgiHead;

RequestFraming framing_of(const Call& call, CgiExchange::Framing framing) {
  if (!call.has_body) return {};
  if (framing == CgiExchange::Framing::until_close)
    return {.kind = RequestFraming::Kind::length, .length = call.body_length.value_or(0)};
  return {.kind = RequestFraming::Kind::records, .length = call.body_length.value_or(RequestFraming::kUnknown)};
}

// The body of a response that is streamed.
class CgiBody final : public exchange::BodySource {
 public:
  explicit CgiBody(std::unique_ptr<CgiExchange> exchange) : exchange_(std::move(exchange)) {}
  // Whoever knows the length may not ask for the end.
  ~CgiBody() override {
    if (exchange_->length() == 0) CgiExchange::let_go(std::move(exchange_));
  }
  net::Task<Result<exchange::Chunk>> next() override { return exchange_->next(); }
  std::optional<std::uint64_t> length() const override { return exchange_->length(); }

 private:
  std::unique_ptr<CgiExchange> exchange_;
};

}  // namespace

CgiExchange::CgiExchange(Call call, std::string head, Framing framing, bool keep)
    : call_(std::move(call)),
      loop_(call_.connection->stream().loop()),
      head_(std::move(head)),
      framing_(framing),
      keep_(keep),
      reader_(gateway::kFastcgiId),
      sender_(call_.connection->stream(), std::move(call_.body), framing_of(call_, framing), call_.timeouts.send,
              framing == Framing::until_close) {}

// ---- reading ----

// Output that has come already; nothing when there is none, or when the response has ended.
Result<std::string_view> CgiExchange::take() {
  while (true) {
    stream().consume(std::exchange(handed_out_, 0));
    const auto bytes = stream().buffered();
    if (ended_ || bytes.empty()) return std::string_view();
    if (framing_ == Framing::until_close) {
      handed_out_ = bytes.size();
      return bytes;
    }
    const auto step = reader_.read(bytes);
    if (!step) return std::unexpected(step.error());
    if (!step->error_output.empty()) call_.owner->error_output(step->error_output);
    if (!step->output.empty()) {
      handed_out_ = step->consumed;
      return step->output;
    }
    stream().consume(step->consumed);
    if (step->ended) {
      ended_ = true;
      if (const auto outcome = reader_.outcome(); !outcome) {
        refused_ = text_.empty();
        return std::unexpected(outcome.error());
      }
    }
    if (step->consumed == 0) return std::string_view();
  }
}

// The next output, waited for; nothing at the end of the response.
net::Task<Result<std::string_view>> CgiExchange::output(Limit limit) {
  const auto since = loop_.now();
  while (true) {
    auto taken = take();
    if (!taken || !taken->empty() || ended_) co_return taken;
    if (at_end_) {
      if (auto error = ended_early()) co_return std::unexpected(std::move(*error));
      ended_ = true;
      co_return std::string_view();
    }
    auto came = co_await more(limit, since);
    if (!came) co_return std::unexpected(std::move(came.error()));
    if (!*came) co_return fail(Code::timed_out, "the response pauses");
  }
}

// Waits for bytes or the end of the connection. False: pause_timer_ has fired.
net::Task<Result<bool>> CgiExchange::more(Limit limit, net::TimePoint since) {
  while (true) {
    if (sender_.failure()) co_return std::unexpected(*sender_.failure());
    const auto silence = limit == Limit::head ? call_.timeouts.first_byte : call_.timeouts.idle;
    const auto deadline = std::min(call_.timeouts.deadline, std::max(since, sender_.last_sent()) + silence);
    // Here, because bytes that bring no output (STDERR, empty records) may come without end.
    if (loop_.now() >= deadline) co_return std::unexpected(late(deadline, limit));
    sender_.reader_waits(true);
    auto got = co_await stream().fill(deadline);
    sender_.reader_waits(false);
    if (got) {
      if (*got > 0)
        any_byte_ = true;
      else
        at_end_ = true;
      co_return true;
    }
    if (std::exchange(pause_due_, false)) co_return false;
    if (got.error().code == Code::timed_out) continue;  // the deadline may have moved, the sender may have failed
    // A Unix socket is reset when the application closes it before it has read all of the request; what it had written
    // is here all the same.
    if (got.error().code == Code::closed && any_byte_ && framing_ != Framing::records &&
        !call_.home.endpoint().path.empty()) {
      at_end_ = true;
      co_return true;
    }
    if (got.error().code == Code::closed) was_reset_ = true;
    co_return fail(Code::program_failed, "The connection to the application broke: " + got.error().message + ".");
  }
}

Error CgiExchange::late(net::TimePoint deadline, Limit limit) const {
  if (deadline == call_.timeouts.deadline)
    return {Code::program_timeout, "The application was not done within the time of a request (timeout)."};
  if (limit == Limit::head)
    return {Code::program_timeout, "The application sent no complete response head within " +
                                       in_seconds(call_.timeouts.first_byte) + " (first_byte_timeout)."};
  return {Code::program_timeout,
          "The application sent nothing for " + in_seconds(call_.timeouts.idle) + " (idle_timeout)."};
}

// Why the end of the connection is not the end of the response; nothing when it is.
std::optional<Error> CgiExchange::ended_early() const {
  if (!any_byte_) return Error{Code::program_failed, "The application closed the connection without an answer."};
  if (framing_ == Framing::until_close) return std::nullopt;
  return Error{Code::program_failed,
               "The application closed the connection before the end of its answer (no END_REQUEST came)."};
}

net::Task<Result<CgiHead>> CgiExchange::read_head() {
  gateway::CgiHeadParser parser({.head = call_.head_limit});
  CgiHead head;
  while (true) {
    auto got = co_await output(Limit::head);
    if (!got) co_return std::unexpected(std::move(got.error()));
    if (got->empty()) co_return std::unexpected(gateway::CgiHeadParser::ended_early(text_));
    text_.append(*got);
    auto parsed = parser.parse(text_, head);
    if (!parsed) co_return std::unexpected(std::move(parsed.error()));
    if (*parsed == 0) continue;
    unread_ = std::string_view(text_).substr(*parsed);
    co_return head;
  }
}

// Whether the whole body has come, in text_. An error: nothing of the answer has been passed on yet.
net::Task<Result<bool>> CgiExchange::read_whole() {
  const std::size_t begin = text_.size() - unread_.size();
  const auto wanted = left_.value_or(kWholeBody + 1);
  while (wanted <= kWholeBody || !left_) {
    if (text_.size() - begin >= wanted) break;
    if (auto taken = take(); !taken) {
      co_return std::unexpected(std::move(taken.error()));
    } else if (!taken->empty()) {
      text_.append(*taken);
      continue;
    }
    if (!ended_ && !at_end_ && !pause_timer_) {
      pause_timer_.emplace(
          loop_,
          [](void* self) {
            static_cast<CgiExchange*>(self)->pause_due_ = true;
            static_cast<CgiExchange*>(self)->stream().interrupt();
          },
          this);
      pause_timer_->set(kFlushAfter);
    }
    auto got = co_await output(Limit::silence);
    if (!got && got.error().code == Code::timed_out) break;
    if (!got) co_return std::unexpected(std::move(got.error()));
    if (got->empty()) break;
    text_.append(*got);
  }
  pause_timer_.reset();
  pause_due_ = false;
  unread_ = std::string_view(text_).substr(begin);
  if (ended_ && left_ && unread_.size() < *left_)
    co_return fail(Code::program_failed, "The application ended its answer " + std::to_string(*left_ - unread_.size()) +
                                             " bytes before the length that it had announced.");
  co_return left_ ? unread_.size() >= *left_ : ended_;
}

// ---- the answer ----

net::Task<CallResult> CgiExchange::run(std::unique_ptr<CgiExchange> exchange) {
  CgiExchange& self = *exchange;
  if (auto sent = self.sender_.start(self.head_); !sent)
    co_return std::unexpected(self.failure(
        {Code::program_failed,
         "The application closed the connection before it took the request: " + sent.error().message + "."}));
  auto got = co_await self.read_head();
  if (!got) co_return std::unexpected(self.failure(std::move(got.error())));
  CgiHead& head = *got;
  Answer answer{.status = head.status, .reason = std::move(head.reason), .headers = std::move(head.headers)};
  answer.local_target = std::move(head.local_target);
  answer.send_file = std::move(head.send_file);
  answer.client_redirect_without_document = head.kind == CgiHead::Kind::client_redirect;

  const bool bodyless = head.status == 204 || head.status == 304;  // RFC 9110 sections 15.3.5, 15.4.5
  if (bodyless || self.call_.method == http::Method::head || head.kind == CgiHead::Kind::local_redirect) {
    if (!bodyless && head.kind != CgiHead::Kind::local_redirect)
      answer.body = exchange::Body::stream(std::make_unique<exchange::Unsent>(head.content_length));
    let_go(std::move(exchange));
    co_return answer;
  }
  self.left_ = head.content_length;
  auto whole = co_await self.read_whole();
  if (!whole) co_return std::unexpected(self.failure(std::move(whole.error())));
  if (!*whole) {
    answer.body = exchange::Body::stream(std::make_unique<CgiBody>(std::move(exchange)));
    co_return answer;
  }
  const auto size = self.announced(self.unread_).size();
  const auto begin = self.text_.size() - self.unread_.size();
  auto text = std::make_shared<const std::string>(std::move(self.text_));
  const auto body = std::string_view(*text).substr(begin, size);
  if (!body.empty()) answer.body = exchange::Body::shared(std::move(text), body);
  self.unread_ = {};
  let_go(std::move(exchange));
  co_return answer;
}

// Not more than has been announced; counts it.
std::string_view CgiExchange::announced(std::string_view bytes) {
  if (!left_) return bytes;
  if (bytes.size() > *left_) too_long_ = true;
  bytes = bytes.substr(0, *left_);
  *left_ -= bytes.size();
  return bytes;
}

CallFailure CgiExchange::failure(Error error) {
  sender_.stop();
  CallFailure failure{.error = std::move(error)};
  const bool applications =
      failure.error.code == Code::program_failed || failure.error.code == Code::program_unavailable;
  failure.came_to_nothing = refused_ || (applications && !any_byte_);
  failure.unread = failure.came_to_nothing && was_reset_;
  failure.body_touched = sender_.body_touched();
  failure.reused = call_.connection->reused();
  failure.owner = std::move(call_.owner);
  if (!failure.body_touched) failure.body = sender_.take_body();
  return failure;
}

net::Task<Result<exchange::Chunk>> CgiExchange::next() {
  if (over_) co_return exchange::Chunk{};
  if (broken_) co_return break_off(std::move(*broken_));
  if (loop_.now() >= call_.timeouts.deadline) co_return break_off(late(call_.timeouts.deadline, Limit::silence));
  if (left_ != 0) {
    std::string_view chunk = std::exchange(unread_, {});
    if (chunk.empty()) {
      auto got = co_await output(Limit::silence);
      if (!got) co_return break_off(std::move(got.error()));
      chunk = gather(*got);
    }
    if (!chunk.empty()) co_return announced(chunk);
    if (left_)
      co_return break_off({Code::program_failed, "The application ended its answer " + std::to_string(*left_) +
                                                     " bytes before the length that it had announced."});
  }
  over_ = true;
  if (ended_) finish();
  co_return exchange::Chunk{};
}

// `first` and the runs that have come behind it, as one. An error among them waits for its turn.
std::string_view CgiExchange::gather(std::string_view first) {
  if (framing_ != Framing::records || first.empty() || first.size() >= kLargeRun ||
      stream().buffered().size() <= handed_out_)
    return first;
  piece_.assign(first);
  while (piece_.size() < kWholeBody) {
    auto taken = take();
    if (!taken) broken_ = std::move(taken.error());
    if (!taken || taken->empty()) break;
    piece_.append(*taken);
  }
  return piece_;
}

std::unexpected<Error> CgiExchange::break_off(Error error) {
  over_ = true;
  left_.reset();  // there is no end to let go at
  // The client's own failures are not the application's.
  if (!sender_.failure() || error.code == Code::program_timeout) call_.owner->broke(error);
  return std::unexpected(std::move(error));
}

// ---- the end ----

// The response has ended: the connection serves the next request, if this one has been read whole.
void CgiExchange::finish() {
  const bool whole = sender_.whole();
  sender_.stop();
  auto connection = std::move(call_.connection);
  if (ended_ && keep_ && whole && !too_long_ && !refused_) {
    connection->exchange_ended();
    call_.home.give_back(std::move(connection));
  }
  connection.reset();
  call_.owner.reset();
}

void CgiExchange::let_go(std::unique_ptr<CgiExchange> exchange) {
  CgiExchange& self = *exchange;
  if (!self.call_.connection || self.too_long_ || self.framing_ == Framing::until_close || !self.sender_.whole())
    return;
  // An application that goes on after its answer holds its connection until it says that it is done.
  exchange::World& world = self.call_.exchange.world;
  if (self.call_.owner) self.call_.owner->outlives_request();
  world.background.start(discard(std::move(exchange)));
}

net::Task<void> CgiExchange::discard(std::unique_ptr<CgiExchange> exchange) {
  CgiExchange& self = *exchange;
  const bool announced = self.left_.has_value();
  std::uint64_t discarded = 0;
  while (!self.ended_) {
    auto got = co_await self.output(Limit::silence);
    if (!got) co_return;
    discarded += got->size();
    if (discarded > (announced ? 0 : kMostDiscarded)) co_return;
  }
  self.finish();
}

}  // namespace fivefold::upstream
