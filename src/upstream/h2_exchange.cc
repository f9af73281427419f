#include "upstream/h2_exchange.h"

#include <algorithm>

#include "base/text.h"
#include "http/chunked.h"
#include "http/status.h"
#include "upstream/announced_body.h"
#include "upstream/request_head.h"
#include "upstream/words.h"

namespace fivefold::upstream {
namespace {

nghttp2_nv pair(std::string_view name, std::string_view value) {
  const auto bytes = [](std::string_view text) {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

// The request's fields, names in lower case. `keep` holds what the pairs point to.
std::vector<nghttp2_nv> request_fields(const OutgoingHead& head, std::string_view scheme, const std::string& length,
                                       std::string& keep) {
  std::vector<nghttp2_nv> fields;
  keep = to_lower(head.fields.wire());
  fields.push_back(pair(":method", head.method));
  fields.push_back(pair(":scheme", scheme));
  if (const auto host = head.fields.get("Host"); !host.empty()) fields.push_back(pair(":authority", host));
  fields.push_back(pair(":path", head.target));
  head.fields.for_each([&](std::string_view name, std::string_view value) {
    if (is_connections_own(name) || equals_ignoring_case(name, "host")) return;
    const auto at = static_cast<std::size_t>(name.data() - head.fields.wire().data());
    fields.push_back(pair(std::string_view(keep).substr(at, name.size()), value));
  });
  fields.push_back(pair("te", "trailers"));
  if (!length.empty()) fields.push_back(pair("content-length", length));
  return fields;
}

}  // namespace

H2Exchange::H2Exchange(H2Connection& home, Call call)
    : home_(home), call_(std::move(call)), changed_(home.home().loop()), taken_(home.home().loop()) {}

H2Exchange::~H2Exchange() { end_stream(); }

void H2Exchange::end_stream() {
  pump_ = {};
  if (!session_) return;
  if (stream_ > 0) session_->let_go(stream_, *this);
  stream_ = 0;
  session_.reset();
  home_.stream_ended();
}

// ---- the request ----

Result<std::optional<std::uint64_t>> H2Exchange::request_length() const {
  if (!call_.has_body) {
    const bool expected =
        call_.method == http::Method::post || call_.method == http::Method::put || call_.method == http::Method::patch;
    return expected ? std::optional<std::uint64_t>(0) : std::nullopt;
  }
  const auto known = call_.body.length();
  if (known && call_.body_length && *known != *call_.body_length)
    return fail(Code::internal, "The request's body has another length than was announced.");
  return call_.body_length ? call_.body_length : known;
}

net::Task<Result<void>> H2Exchange::send(const OutgoingHead& head) {
  if (!head.upgrade.empty())
    co_return fail(Code::not_implemented,
                   "A connection cannot be upgraded over HTTP/2 to the application; set protocol = \"http\" for it.");
  if (auto checked = check_request_line(head); !checked) co_return checked;
  auto length = request_length();
  if (!length) co_return std::unexpected(std::move(length.error()));
  net::Loop& loop = home_.home().loop();
  began_ = loop.now();
  auto session = co_await home_.session(std::min(call_.timeouts.deadline, began_ + call_.timeouts.first_byte));
  if (!session) {
    came_to_nothing_ = session.error().code != Code::program_timeout;
    co_return std::unexpected(std::move(session.error()));
  }
  session_ = std::move(*session);
  reused_ = session_->used();
  const bool streams = call_.has_body && *length != 0;
  const std::string length_text = *length ? std::to_string(**length) : std::string();
  std::string keep;
  const auto fields = request_fields(head, home_.home().endpoint().tls ? "https" : "http", length_text, keep);
  body_left_ = *length;
  if (const auto* bytes = call_.body.as_bytes(); streams && bytes) {
    sending_ = bytes->view;
    body_end_ = true;
  }
  sent_end_ = !streams;
  auto stream = session_->submit(fields, streams, *this);
  if (!stream) co_return std::unexpected(std::move(stream.error()));
  stream_ = *stream;
  began_ = last_sent_ = loop.now();
  session_->flush();
  if (streams && !body_end_) pump_ = net::Running(pump());
  co_return Result<void>{};
}

std::size_t H2Exchange::read_body(char* into, std::size_t size, bool& end) {
  const std::size_t taken = std::min(size, sending_.size());
  sending_.copy(into, taken);
  sending_.remove_prefix(taken);
  last_sent_ = home_.home().loop().now();
  end = sending_.empty() && body_end_;
  if (end) sent_end_ = true;
  if (sending_.empty()) taken_.set();
  return taken;
}

// Pulls the body, each piece once the last one has left.
net::Task<void> H2Exchange::pump() {
  while (!body_end_) {
    touched_ = true;
    auto chunk = co_await call_.body.next();
    if (!chunk) {
      give_up(std::move(chunk.error()));
      co_return;
    }
    if (body_left_ && (chunk->size() > *body_left_ || (chunk->empty() && *body_left_ > 0))) {
      give_up({Code::internal, "The request's body did not have the length that was announced."});
      co_return;
    }
    if (body_left_) *body_left_ -= chunk->size();
    sending_ = *chunk;
    body_end_ = chunk->empty() || body_left_ == 0;
    session_->resume_body(stream_);
    session_->flush();
    while (!sending_.empty()) {
      const bool taken = co_await taken_.wait(home_.home().loop().now() + call_.timeouts.send);
      // An application that takes nothing because nobody takes its answer from it is not silent.
      const auto since = std::max(last_sent_, heard_);
      if (taken || !reader_waits_ || home_.home().loop().now() < since + call_.timeouts.send) continue;
      give_up({Code::program_timeout, "The application took nothing of the request for " +
                                          in_seconds(call_.timeouts.send) + " (send timeout)."});
      co_return;
    }
  }
}

void H2Exchange::give_up(Error error) {
  own_ = std::move(error);
  changed_.set();
}

// ---- what happens on the stream ----

void H2Exchange::block_began() {
  block_ = {};
  block_size_ = 0;
  block_status_ = 0;
}

bool H2Exchange::field(std::string_view name, std::string_view value) {
  block_size_ += name.size() + value.size() + 4;
  if (block_size_ > call_.head_limit) {
    failure_ = Error{Code::program_failed, "The application's response head passes the limit of " +
                                               std::to_string(call_.head_limit) + " bytes."};
    changed_.set();
    return false;
  }
  if (name == ":status") {
    block_status_ = static_cast<int>(parse_decimal(value).value_or(0));
  } else if (status_ != 0) {
    if (http::is_trailer_field(name)) block_.add(name, value);
  } else if (name == "content-length") {
    if (block_status_ >= 200) left_ = parse_decimal(value);
  } else if (name == "x-sendfile" || name == "x-accel-redirect") {
    if (block_status_ >= 200 && send_file_.empty()) send_file_ = value;
  } else if (http::is_hop_by_hop(name, {})) {
    // nghttp2 refuses most of them; none is passed on.
  } else if (!block_.add(name, value)) {
    failure_ = Error{Code::program_failed, "The application's response has a field that cannot be passed on: \"" +
                                               printable(name) + ": " + printable(value) + "\"."};
    changed_.set();
    return false;
  }
  return true;
}

void H2Exchange::block_ended() {
  if (status_ != 0) {
    trailers_ = std::move(block_);
  } else if (block_status_ >= 200 && block_status_ <= 599) {
    status_ = block_status_;
    fields_ = std::move(block_);
  } else if (block_status_ == 101 || block_status_ < 100 || block_status_ > 599) {
    failure_ = Error{Code::program_failed, "The application answered with status " + std::to_string(block_status_) +
                                               ", which has no meaning in HTTP/2."};
  } else if (++interim_seen_ > kMostInterim) {
    failure_ = Error{Code::program_failed,
                     "The application sent more than " + std::to_string(kMostInterim) + " interim responses."};
  } else if (block_status_ != 100) {
    interim_.emplace_back(block_status_, std::move(block_));
  }
  changed_.set();
}

void H2Exchange::data(std::string_view bytes) {
  received_.append(bytes);
  changed_.set();
}

void H2Exchange::ended() {
  whole_ = true;
  changed_.set();
}

void H2Exchange::closed(std::uint32_t error_code) {
  gone_ = true;
  home_.stream_ended();
  if (!whole_ && !failure_) {
    refused_ = error_code == NGHTTP2_REFUSED_STREAM;
    came_to_nothing_ = refused_ && status_ == 0 && interim_seen_ == 0;
    failure_ = Error{Code::program_failed, came_to_nothing_
                                               ? "The application did not take the request (REFUSED_STREAM)."
                                               : std::string("The request's stream ended before its response did: ") +
                                                     nghttp2_http2_strerror(error_code) + "."};
  }
  changed_.set();
}

void H2Exchange::lost(const Error& error) {
  gone_ = true;
  if (!whole_ && !failure_) {
    came_to_nothing_ = status_ == 0 && interim_seen_ == 0 && error.code == Code::program_failed;
    failure_ = error;
  }
  changed_.set();
}

// ---- the response ----

// What ends the call before its response does. A response that is whole is not spoilt by what the request came to.
std::optional<Error> H2Exchange::trouble() const {
  if (failure_) return failure_;
  if (own_ && !whole_) return own_;
  return std::nullopt;
}

net::Task<Result<void>> H2Exchange::wait(net::TimePoint since, milliseconds silence) {
  net::Loop& loop = home_.home().loop();
  while (true) {
    const auto from = sending() ? loop.now() : std::max(since, last_sent_);
    reader_waits_ = true;
    heard_ = loop.now();
    const bool changed = co_await changed_.wait(std::min(call_.timeouts.deadline, from + silence));
    reader_waits_ = false;
    if (changed) co_return Result<void>{};
    const auto now = loop.now();
    if (now >= call_.timeouts.deadline)
      co_return fail(Code::program_timeout, "The time of the request was over before the application's answer was.");
    if (sending() || now < std::max(since, last_sent_) + silence) continue;
    if (session_->last_heard() < began_) session_->retire();  // it may be the connection that is dead
    co_return fail(Code::program_timeout,
                   status_ == 0
                       ? "The application did not answer within " + in_seconds(silence) + "."
                       : "The application fell silent in the middle of its response for " + in_seconds(silence) + ".");
  }
}

net::Task<Result<void>> H2Exchange::receive() {
  while (true) {
    while (!interim_.empty()) {
      auto [status, fields] = std::move(interim_.front());
      interim_.pop_front();
      co_await call_.exchange.send_interim(status, std::move(fields));
    }
    if (auto error = trouble()) co_return std::unexpected(std::move(*error));
    if (status_ != 0) co_return co_await receive_rest();
    auto waited = co_await wait(began_, call_.timeouts.first_byte);
    if (!waited) co_return waited;
  }
}

net::Task<Result<void>> H2Exchange::receive_rest() {
  const auto until = std::min(call_.timeouts.deadline, home_.home().loop().now() + kRestWait);
  while (!whole_ && left_ && *left_ <= kWholeBody) {
    const bool changed = co_await changed_.wait(until);
    if (auto error = trouble()) co_return std::unexpected(std::move(*error));
    if (!changed) break;
  }
  co_return Result<void>{};
}

Answer H2Exchange::answer(std::unique_ptr<H2Exchange> exchange) {
  H2Exchange& self = *exchange;
  Answer answer{.status = self.status_};
  answer.headers = std::move(self.fields_);
  answer.send_file = std::move(self.send_file_);
  const bool none = self.call_.method == http::Method::head || answer.status == 204 || answer.status == 304;
  if (none) {
    if (self.call_.method == http::Method::head)
      answer.body = exchange::Body::stream(std::make_unique<AnnouncedBody>(self.left_));
    self.finish();
  } else if (self.whole_ && self.trailers_.empty() && self.received_.size() <= kWholeBody) {
    answer.body = exchange::Body::text(std::move(self.received_));
    self.finish();
  } else {
    answer.body = exchange::Body::stream(std::move(exchange));
  }
  return answer;
}

CallFailure H2Exchange::failure(Error error) {
  CallFailure failure{.error = std::move(error), .came_to_nothing = came_to_nothing_};
  failure.unsent = came_to_nothing_ && stream_ == 0;
  failure.declined = came_to_nothing_ && refused_;
  failure.unread = failure.unsent || failure.declined;
  failure.body_touched = touched_;
  // A connection that goes on would refuse the next try as well.
  failure.reused = reused_ && !(failure.declined && session_->takes_streams());
  end_stream();
  failure.owner = std::move(call_.owner);
  if (!touched_) failure.body = std::move(call_.body);
  return failure;
}

void H2Exchange::finish() {
  ended_ = true;
  end_stream();
  call_.owner.reset();
}

std::unexpected<Error> H2Exchange::break_off(Error error) {
  end_stream();
  if (call_.owner && (error.code == Code::program_failed || error.code == Code::program_timeout))
    call_.owner->broke(error);
  call_.owner.reset();
  broken_ = error;
  return std::unexpected(std::move(error));
}

net::Task<Result<exchange::Chunk>> H2Exchange::next() {
  if (broken_) co_return std::unexpected(*broken_);
  if (ended_) co_return exchange::Chunk{};
  if (!piece_.empty() && !gone_) {
    session_->consumed(stream_, piece_.size());
    session_->flush();
  }
  piece_.clear();
  const auto began = home_.home().loop().now();
  while (true) {
    if (!received_.empty()) {
      piece_.swap(received_);
      if (left_) *left_ -= std::min<std::uint64_t>(*left_, piece_.size());
      co_return exchange::Chunk(piece_);
    }
    if (whole_) {
      finish();
      co_return exchange::Chunk{};
    }
    if (auto error = trouble()) co_return break_off(std::move(*error));
    auto waited = co_await wait(began, call_.timeouts.idle);
    if (!waited) co_return break_off(std::move(waited.error()));
  }
}

}  // namespace fivefold::upstream
