#include "upstream/http_exchange.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "http/status.h"
#include "upstream/announced_body.h"
#include "upstream/http_tunnel.h"
#include "upstream/words.h"

namespace fivefold::upstream {
namespace {

// Chunks that came together are passed on as one piece up to this: copying them costs less than sending each alone.
constexpr std::size_t kWorthCopying = 16384;

bool is_the_applications(const Error& error) {
  return error.code == Code::program_failed || error.code == Code::program_timeout;
}

}  // namespace

HttpExchange::HttpExchange(Call call)
    : call_(std::move(call)), parser_({.head = std::min(call_.head_limit, call_.connection->buffer_size())}) {}

HttpExchange::~HttpExchange() {
  if (ended_ || broken_ || !call_.connection) return;
  if (framing_ == Framing::length && left_ == 0 && handed_out_ > 0) {  // the last chunk was the end
    stream().consume(handed_out_);
    finish();
    return;
  }
  sender_.reset();
  call_.connection.reset();
}

// ---- the request ----

Result<RequestFraming> HttpExchange::request_framing() const {
  using Kind = RequestFraming::Kind;
  if (!call_.has_body) {
    // RFC 9110 section 8.6: said where a body would be expected.
    const bool expected =
        call_.method == http::Method::post || call_.method == http::Method::put || call_.method == http::Method::patch;
    return RequestFraming{expected ? Kind::length : Kind::none, 0};
  }
  const auto known = call_.body.length();
  if (known && call_.body_length && *known != *call_.body_length)
    return fail(Code::internal, "The request's body has another length than was announced.");
  const auto length = call_.body_length ? call_.body_length : known;
  return length ? RequestFraming{Kind::length, *length} : RequestFraming{Kind::chunked, 0};
}

Result<void> HttpExchange::send(const OutgoingHead& head) {
  const auto framing = request_framing();
  if (!framing) return std::unexpected(framing.error());
  upgrade_ = head.upgrade;
  std::string& bytes = call_.connection->outgoing_head;
  bytes.clear();
  if (auto appended = append_request_head(head, *framing, bytes); !appended) return appended;
  sender_.emplace(stream(), call_.has_body ? std::move(call_.body) : exchange::Body(), *framing, call_.timeouts.send,
                  !call_.home.endpoint().tls);
  auto started = sender_->start(bytes);
  began_ = sender_->last_sent();
  if (!started && started.error().code == Code::closed) {
    came_to_nothing_ = was_reset_ = true;
    return fail(Code::program_failed, "The application closed the connection before the request was sent.");
  }
  return started;
}

// ---- the response's head ----

std::unexpected<Error> HttpExchange::ended_early() const {
  if (!any_byte_) return fail(Code::program_failed, "The application closed the connection without an answer.");
  if (status_ == 0)
    return fail(Code::program_failed, "The application closed the connection in the middle of its response's head.");
  std::string text = "The application closed the connection before the end of its response, after " +
                     std::to_string(passed_on_) + " bytes of the body";
  if (framing_ == Framing::length) text += "; " + std::to_string(left_) + " more were announced";
  return fail(Code::program_failed, text + ".");
}

net::Task<Result<std::size_t>> HttpExchange::read(net::TimePoint since, milliseconds silence) {
  net::Loop& loop = stream().loop();
  while (true) {
    if (const auto& failure = sender_->failure()) co_return std::unexpected(*failure);
    // While the request is on its way the application may have nothing to say yet.
    const auto from = sender_->done() ? std::max(since, sender_->last_sent()) : loop.now();
    const auto at = std::min(call_.timeouts.deadline, from + silence);
    if (!sender_->done()) sender_->reader_waits(true);
    auto got = co_await stream().fill(at);
    if (!sender_->done()) sender_->reader_waits(false);
    if (got) co_return got;
    if (const auto& failure = sender_->failure()) co_return std::unexpected(*failure);
    if (got.error().code == Code::closed) {
      was_reset_ = true;
      co_return std::size_t{0};
    }
    if (got.error().code != Code::timed_out) co_return fail(Code::program_failed, got.error().message);
    const auto now = loop.now();
    if (now >= call_.timeouts.deadline)
      co_return fail(Code::program_timeout,
                     status_ == 0 ? "The time of the request was over before the application had answered."
                                  : "The time of the request was over before the application's answer was.");
    if (!sender_->done() || now < std::max(since, sender_->last_sent()) + silence) continue;
    co_return fail(Code::program_timeout,
                   status_ == 0
                       ? "The application did not answer within " + in_seconds(silence) + "."
                       : "The application fell silent in the middle of its response for " + in_seconds(silence) + ".");
  }
}

void HttpExchange::read_keep_alive(std::string_view value) {
  for_each_list_item(value, [this](std::string_view item) {
    const auto equals = item.find('=');
    if (equals == std::string_view::npos || !equals_ignoring_case(trim(item.substr(0, equals)), "timeout")) return;
    if (const auto seconds = parse_decimal(trim(item.substr(equals + 1))); seconds && *seconds < 86'400)
      call_.connection->keep_for(std::chrono::seconds(*seconds));
  });
}

Result<http::Headers> HttpExchange::end_to_end_fields(std::size_t head_size) {
  std::string joined;
  std::string_view connection;
  for (const http::Field& field : received().fields) {
    if (!equals_ignoring_case(field.name, "connection")) continue;
    if (connection.empty()) {
      connection = field.value;
    } else {
      joined.assign(connection).append(",").append(field.value);
      connection = joined;
    }
  }
  http::Headers fields;
  fields.reserve(head_size);
  for (const http::Field& field : received().fields) {
    if (equals_ignoring_case(field.name, "upgrade") && received().status == 101) {
      // What the connection has become is for the client to know.
    } else if (http::is_hop_by_hop(field.name, connection)) {
      if (equals_ignoring_case(field.name, "keep-alive")) read_keep_alive(field.value);
      continue;
    } else if (equals_ignoring_case(field.name, "content-length")) {
      continue;
    } else if (equals_ignoring_case(field.name, "x-sendfile") || equals_ignoring_case(field.name, "x-accel-redirect")) {
      if (received().status >= 200 && send_file_.empty()) send_file_ = field.value;
      continue;
    }
    if (!fields.add(field.name, field.value))
      return fail(Code::program_failed, "The application's response has a field that cannot be passed on: \"" +
                                            printable(field.name) + ": " + printable(field.value) + "\".");
  }
  return fields;
}

Result<void> HttpExchange::accept_upgrade() const {
  if (upgrade_.empty())
    return fail(Code::program_failed, "The application switched protocols (101), which nobody had asked for.");
  if (!received().upgrade)
    return fail(Code::program_failed, "The application switched protocols (101) without saying to which.");
  if (!sender_->whole())
    return fail(Code::program_failed, "The application switched protocols (101) before it had the whole request.");
  bool asked_for = true;
  for_each_list_item(*received().field("upgrade"), [&](std::string_view protocol) {
    bool found = false;
    for_each_list_item(upgrade_,
                       [&](std::string_view asked) { found = found || equals_ignoring_case(asked, protocol); });
    asked_for = asked_for && found;
  });
  if (!asked_for)
    return fail(Code::program_failed, "The application switched to a protocol that nobody had asked for: \"" +
                                          printable(*received().field("upgrade")) + "\".");
  return {};
}

// Copies what is needed of the final head, whose bytes are then let go of.
Result<void> HttpExchange::take_head(std::size_t size) {
  const http::ReceivedHead& head = received();
  if (head.status == 101)
    if (auto accepted = accept_upgrade(); !accepted) return accepted;
  auto fields = end_to_end_fields(size);
  if (!fields) return std::unexpected(std::move(fields.error()));
  fields_ = std::move(*fields);
  status_ = head.status;
  if (head.reason != http::reason_phrase(head.status)) reason_ = head.reason;
  framing_ = head.framing;
  left_ = head.length;
  announced_ = head.announced;
  // There are servers that send the body of a response to HEAD nevertheless (Starman does). When it comes after its
  // head it would be taken for the next response.
  reusable_ = head.keep_alive && call_.method != http::Method::head;
  stream().consume(size);
  return {};
}

net::Task<Result<bool>> HttpExchange::receive_head() {
  std::size_t size = 0;
  while (true) {
    if (const auto bytes = stream().buffered(); !bytes.empty()) {
      any_byte_ = true;
      auto parsed = parser_.parse(bytes, call_.method, call_.connection->received_head);
      if (!parsed) co_return std::unexpected(std::move(parsed.error()));
      size = *parsed;
      if (size > 0) break;
    }
    auto got = co_await read(began_, call_.timeouts.first_byte);
    if (!got) co_return std::unexpected(std::move(got.error()));
    if (*got == 0) {
      came_to_nothing_ = !any_byte_;
      co_return ended_early();
    }
  }
  const int status = received().status;
  if (status >= 200 || status == 101) {
    if (auto taken = take_head(size); !taken) co_return std::unexpected(std::move(taken.error()));
    co_return true;
  }
  if (++interim_ > kMostInterim)
    co_return fail(Code::program_failed,
                   "The application sent more than " + std::to_string(kMostInterim) + " interim responses.");
  if (status == 100) {  // the client has had its own, or had not asked for it
    stream().consume(size);
    co_return false;
  }
  auto fields = end_to_end_fields(size);
  if (!fields) co_return std::unexpected(std::move(fields.error()));
  stream().consume(size);
  co_await call_.exchange.send_interim(status, std::move(*fields));
  co_return false;
}

net::Task<Result<void>> HttpExchange::receive() {
  while (true) {
    auto final = co_await receive_head();
    if (!final) co_return std::unexpected(std::move(final.error()));
    if (*final) break;
  }
  if (framing_ == Framing::chunked) co_return look_for_whole_chunked();
  if (framing_ == Framing::length && left_ <= kShortBody && stream().buffered().size() < left_)
    co_return co_await receive_rest();
  co_return Result<void>{};
}

// ---- a short body, whole with its head ----

net::Task<Result<void>> HttpExchange::receive_rest() {
  const auto until = std::min(stream().loop().now() + kRestWait, call_.timeouts.deadline);
  while (stream().buffered().size() < left_) {
    auto got = co_await stream().fill(until);
    if (const auto& failure = sender_->failure()) co_return std::unexpected(*failure);
    if (!got && got.error().code == Code::timed_out) break;
    if (!got || *got == 0) co_return ended_early();
  }
  co_return Result<void>{};
}

// A chunked body that lies in the buffer to its end, without trailers, is passed on as one of known length.
Result<void> HttpExchange::look_for_whole_chunked() {
  http::ChunkedDecoder probe;
  probe.keep_trailers(trailers_);
  for (auto bytes = stream().buffered(); !bytes.empty() && !probe.done();) {
    const auto step = probe.decode(bytes);
    if (!step) return fail(Code::program_failed, "The application's response is malformed. " + step.error().message);
    whole_size_ += step->data.size();
    bytes.remove_prefix(step->consumed);
  }
  whole_chunked_ = probe.done() && trailers_.fields.empty();
  trailers_ = {};
  decoder_.keep_trailers(trailers_);
  return {};
}

bool HttpExchange::whole_is_buffered() const {
  switch (framing_) {
    case Framing::none:
      return true;
    case Framing::length:
      return left_ <= kShortBody && call_.connection->stream().buffered().size() >= left_;
    case Framing::chunked:
      return whole_chunked_;
    case Framing::until_close:
      return false;
  }
  return false;
}

exchange::Body HttpExchange::take_whole() {
  exchange::Body body;
  const auto bytes = stream().buffered();
  if (framing_ == Framing::none && call_.method == http::Method::head) {
    body = exchange::Body::stream(std::make_unique<AnnouncedBody>(announced_));
  } else if (framing_ == Framing::length && left_ > 0) {
    const auto size = static_cast<std::size_t>(left_);
    auto copy = std::make_shared_for_overwrite<char[]>(size);
    std::memcpy(copy.get(), bytes.data(), size);
    const std::string_view view(copy.get(), size);
    body = exchange::Body::shared(std::move(copy), view);
    stream().consume(size);
  } else if (framing_ == Framing::chunked) {
    std::string whole;
    whole.reserve(whole_size_);
    std::size_t used = 0;
    while (!decoder_.done()) {
      const auto step = decoder_.decode(bytes.substr(used));  // has been gone through before
      whole.append(step->data);
      used += step->consumed;
    }
    body = exchange::Body::text(std::move(whole));
    stream().consume(used);
  }
  finish();
  return body;
}

Answer HttpExchange::answer(std::unique_ptr<HttpExchange> exchange) {
  Answer answer;
  answer.status = exchange->status_;
  answer.reason = std::move(exchange->reason_);
  answer.headers = std::move(exchange->fields_);
  answer.send_file = std::move(exchange->send_file_);
  if (answer.status == 101)
    answer.tunnel = std::make_unique<HttpTunnel>(std::move(exchange));
  else if (exchange->whole_is_buffered())
    answer.body = exchange->take_whole();
  else
    answer.body = exchange::Body::stream(std::move(exchange));
  return answer;
}

CallFailure HttpExchange::failure(Error error) {
  CallFailure failure{.error = std::move(error), .came_to_nothing = came_to_nothing_};
  failure.unread = came_to_nothing_ && was_reset_;
  failure.reused = call_.connection->reused();
  failure.body_touched = sender_ && sender_->body_touched();
  if (!failure.body_touched) failure.body = sender_ ? sender_->take_body() : std::move(call_.body);
  sender_.reset();
  call_.connection.reset();
  failure.owner = std::move(call_.owner);
  return failure;
}

// ---- the response's body ----

std::optional<std::uint64_t> HttpExchange::length() const {
  return framing_ == Framing::length ? std::optional(left_) : std::nullopt;
}

const http::Headers* HttpExchange::trailers() const {
  return ended_ && !trailers_.fields.empty() ? &trailers_.fields : nullptr;
}

std::unexpected<Error> HttpExchange::break_off(Error error) {
  sender_.reset();
  call_.connection.reset();
  if (call_.owner && is_the_applications(error)) call_.owner->broke(error);
  broken_ = error;
  call_.owner.reset();
  return std::unexpected(std::move(error));
}

void HttpExchange::finish() {
  const bool whole = sender_->whole();
  sender_.reset();
  ended_ = true;
  auto connection = std::move(call_.connection);
  // Bytes behind the response are nobody's: whoever sent them cannot be trusted with the next request.
  if (whole && reusable_ && connection->stream().buffered().empty()) {
    connection->exchange_ended();
    call_.home.give_back(std::move(connection));
  }
  connection.reset();
  call_.owner.reset();
}

Result<exchange::Chunk> HttpExchange::next_chunked() {
  const auto bytes = stream().buffered();
  std::string_view first;
  std::size_t used = 0;
  piece_.clear();
  while (used < bytes.size() && !decoder_.done() && first.size() < kWorthCopying && piece_.size() < kWorthCopying) {
    const auto step = decoder_.decode(bytes.substr(used));
    if (!step) return fail(Code::program_failed, "The application's response is malformed. " + step.error().message);
    used += step->consumed;
    if (step->data.empty()) continue;
    if (first.empty()) {
      first = step->data;
    } else {
      if (piece_.empty()) piece_.assign(first);
      piece_.append(step->data);
    }
  }
  if (decoder_.done() && piece_.empty()) piece_.assign(first);
  if (!piece_.empty() || decoder_.done() || first.empty())
    stream().consume(used);
  else
    handed_out_ = used;
  const exchange::Chunk chunk = piece_.empty() ? first : std::string_view(piece_);
  passed_on_ += chunk.size();
  if (decoder_.done()) finish();
  return chunk;
}

// A Unix socket is reset when the application closes it before it has read all of the request; what it had written is
// here all the same. Over TCP a reset may have cut off some of it.
bool HttpExchange::ends_by_closing() const { return !was_reset_ || !call_.home.endpoint().path.empty(); }

net::Task<Result<exchange::Chunk>> HttpExchange::next() {
  if (broken_) co_return std::unexpected(*broken_);
  if (ended_) co_return exchange::Chunk{};
  stream().consume(handed_out_);
  handed_out_ = 0;
  const auto began = stream().loop().now();
  while (true) {
    if (const auto& failure = sender_->failure()) co_return break_off(*failure);
    if (framing_ == Framing::length && left_ == 0) {
      finish();
      co_return exchange::Chunk{};
    }
    if (const auto bytes = stream().buffered(); !bytes.empty()) {
      if (framing_ == Framing::chunked) {
        auto chunk = next_chunked();
        if (!chunk) co_return break_off(std::move(chunk.error()));
        if (!chunk->empty() || ended_) co_return chunk;
      } else {
        const auto chunk =
            framing_ == Framing::length ? bytes.substr(0, std::min<std::uint64_t>(left_, bytes.size())) : bytes;
        if (framing_ == Framing::length) left_ -= chunk.size();
        handed_out_ = chunk.size();
        passed_on_ += chunk.size();
        co_return chunk;
      }
    }
    auto got = co_await read(began, call_.timeouts.idle);
    if (!got) co_return break_off(std::move(got.error()));
    if (*got > 0) continue;
    if (framing_ != Framing::until_close || !ends_by_closing()) co_return break_off(ended_early().error());
    finish();
    co_return exchange::Chunk{};
  }
}

}  // namespace fivefold::upstream
