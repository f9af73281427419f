#include "serve/http1_session.h"

#include "base/text.h"
#include "http/response_head.h"
#include "serve/error_page.h"
#include "serve/error_status.h"
#include "serve/forwarded.h"
#include "serve/proxy_protocol.h"
#include "serve/response_headers.h"
#include "serve/trailers.h"

namespace fivefold::serve {
namespace {

constexpr std::size_t kIdleBuffer = 1024;             // of a connection without a request
constexpr std::uint64_t kDiscardAtMost = 256 * 1024;  // of an unread request body, to keep a connection
constexpr std::chrono::milliseconds kLastCall{
    100};  // for a request that is on its way while its idle connection is asked to end
constexpr std::size_t kCopiedBehindHead =
    4096;  // a body this small costs less to copy than a second piece does in the kernel
constexpr int kClientClosedRequest = 499;  // in the log alone: the client left before the answer

http::HeadLimits head_limits(const config::Server& server) {
  return {server.limits.request_line, server.limits.head, server.limits.fields};
}

// The Server field, unless the route's own headers take it away.
std::string_view server_field(const config::Server& server, const config::Route* route) {
  if (route)
    for (const auto& [name, value] : route->headers)
      if (value.empty() && equals_ignoring_case(name, "server")) return {};
  return server.server_header;
}

bool has_no_body(int status) { return status == 204 || status == 304 || status < 200; }

void count(std::atomic<std::uint64_t>& counter, std::uint64_t by = 1) {
  counter.fetch_add(by, std::memory_order_relaxed);
}

}  // namespace

Http1Session::Http1Session(LoopState& loop, UniqueFd fd, exchange::Peer peer, bool proxy_protocol)
    : loop_(loop),
      stream_(loop.world.loop, std::move(fd), kIdleBuffer,
              std::max<std::size_t>(loop.site->site->config().server.limits.head + 4096, 65536)),
      peer_(std::move(peer)),
      parser_(head_limits(settings())),
      proxy_protocol_(proxy_protocol) {
  next_ = loop_.first_session;
  if (next_) next_->previous_ = this;
  loop_.first_session = this;
  count(loop_.counters.connections_open);
}

Http1Session::~Http1Session() {
  set_idle(false);
  loop_.give_back(std::move(state_));
  if (previous_) previous_->next_ = next_;
  if (next_) next_->previous_ = previous_;
  if (loop_.first_session == this) loop_.first_session = next_;
  loop_.counters.connections_open.fetch_sub(1, std::memory_order_relaxed);
}

void Http1Session::set_idle(bool idle) {
  if (idle_ == idle) return;
  idle_ = idle;
  loop_.counters.connections_idle.fetch_add(idle ? 1 : std::uint64_t(-1), std::memory_order_relaxed);
}

void Http1Session::finish() {
  finishing_ = hurried_ = true;
  if (idle_) stream_.interrupt();
}

net::Task<void> Http1Session::run() {
  if (proxy_protocol_) {
    const bool known = co_await read_proxy_header();
    if (!known) co_return;
  }
  while (true) {
    if (stream_.buffered().empty()) {
      loop_.give_back(std::move(state_));
      stream_.shrink();
      parser_ = http::HeadParser(head_limits(settings()));  // as they are now
      set_idle(true);
      const auto wait = hurried_ ? kLastCall : requests_ == 0 ? settings().timeouts.head : settings().timeouts.idle;
      auto got = co_await stream_.fill(loop_.world.loop.now() + wait);
      set_idle(false);
      const bool interrupted = !got && got.error().code == Code::timed_out && hurried_;
      if (interrupted) got = co_await stream_.fill(loop_.world.loop.now() + kLastCall);
      if (!got || *got == 0) {
        const bool silent = !got && got.error().code == Code::timed_out;
        if (silent && !interrupted) count(loop_.counters.timeouts);
        // A request that crosses the close must not be answered by a reset.
        if (silent) co_await linger(hurried_ ? kLastCall : settings().timeouts.linger);
        co_return;
      }
    }
    if (!state_) state_ = loop_.take_state();
    state_->site = loop_.site;
    parser_.reset();
    const auto head_deadline = loop_.world.loop.now() + settings().timeouts.head;
    while (true) {
      auto parsed = parser_.parse(stream_.buffered(), state_->head);
      if (!parsed) {
        co_await refuse(std::move(parsed.error()));
        co_return;
      }
      if (parsed->consumed > 0) {
        count(loop_.counters.bytes_received, parsed->consumed);
        stream_.pin(parsed->consumed);
        break;
      }
      auto got = co_await stream_.fill(head_deadline);
      if (!got && got.error().code == Code::timed_out) {
        count(loop_.counters.timeouts);
        co_await refuse({Code::request_timeout, "the request's head did not come in time"});
        co_return;
      }
      if (!got && got.error().code == Code::header_too_large) {
        co_await refuse(std::move(got.error()));
        co_return;
      }
      if (!got || *got == 0) co_return;
    }
    ++requests_;
    bool go_on = false;
    co_await respond_to_request(go_on);
    stream_.unwatch();
    stream_.unpin();
    if (!go_on) break;
  }
  if (!cut_ && (unread_input_ || !stream_.buffered().empty())) co_await linger(settings().timeouts.linger);
}

net::Task<void> Http1Session::respond_to_request(bool& go_on) {
  ExchangeState& exchange = *state_;
  const Site& site = *exchange.site->site;
  const auto began = loop_.world.loop.now();
  count(loop_.counters.requests);
  count(loop_.counters.requests_active);
  exchange.id = loop_.ids.next();
  client_left_.reset();

  // Almost every connection is a client's own; only a trusted proxy speaks for another.
  const bool behind_proxy = !site.config().server.trusted.empty() && site.trusts(peer_.address);
  if (behind_proxy) exchange.client = client_behind(peer_, exchange.head, site);
  const exchange::Peer& peer = behind_proxy ? exchange.client : peer_;
  exchange.peer = &peer;

  auto resolution = resolve(site, exchange.head, exchange.path, exchange);
  const auto& server = site.config().server;
  const config::Route* route = resolution ? resolution->route : nullptr;
  exchange.route = route;
  const std::uint64_t body_limit = route && route->body_limit ? *route->body_limit : server.limits.body;
  InterimWriter interim(stream_, server.timeouts.send);
  exchange.interim = &interim;
  BodyReader body(stream_, interim, exchange.head,
                  {body_limit, server.timeouts.body, server.min_rate, server.min_rate_grace}, client_left_);

  Result<exchange::Response> result;
  bool client_gone = false;
  if (!resolution) {
    result = std::unexpected(std::move(resolution.error()));
  } else if (exchange.head.content_length.value_or(0) > body_limit) {
    result = fail(Code::content_too_large, fmt::format("the request body is larger than {} bytes", body_limit));
  } else if (resolution->ready) {
    result = std::move(*resolution->ready);
  } else {
    exchange::Request request{exchange.head, exchange.path, body.body(), peer, net::kNever};
    try {
      auto handled =
          co_await net::until(resolution->handler->handle(std::move(request), exchange), client_left_, [this, &body] {
            body.watch_from_now();
            stream_.watch_close(client_left_, kWatchAfter);
          });
      client_gone = !handled;
      if (handled) result = std::move(*handled);
    } catch (const std::exception& bug) {
      loop_.log.error("bug: an exception reached the server while {} was handled: {}", printable(exchange.path),
                      bug.what());
      result = fail(Code::internal, "the server has a fault");
    }
  }
  if (result && result->status < 200) {
    if (auto may = may_switch_protocols(*result, body); !may) result = std::unexpected(std::move(may.error()));
  }
  exchange.output = interim.close();  // the rest of an interim response that has begun to leave

  AccessEntry entry{.client = peer.address,
                    .user = exchange.user,
                    .unix_seconds = loop_.common.unix_seconds(),
                    .method = exchange.head.method_text,
                    .target = exchange.head.target,
                    .minor_version = exchange.head.minor_version,
                    .host = exchange.head.host_field,
                    .request_id = exchange.id.text(),
                    .program = exchange.program};
  client_gone = client_gone || (!result && status_of(result.error().code) == 0);
  if (client_gone) {
    entry.status = kClientClosedRequest;
    break_off();
  } else if (result && result->status == 101) {
    loop_.counters.requests_active.fetch_sub(1, std::memory_order_relaxed);
    co_await switch_protocols(*result, entry, began);
    result->tunnel.reset();
    exchange.clear();
    co_return;
  } else {
    const bool keep_alive = may_keep_alive(body, result);
    const bool head_only = exchange.head.method == http::Method::head;
    if (!result) {
      const Error error = std::move(result.error());
      result = error_response(error, exchange, site, &exchange.head);
      if (route) apply_route_headers(route->headers, result->headers);
      if (result->status >= 500) log_failure(error, result->status);
      // The client is not told why; whoever runs the site has to know which permission or setting it is.
      if (error.code == Code::forbidden)
        loop_.log.info("{} {} {}: {}", exchange.id.text(), result->status, printable(exchange.path), error.message);
    }
    const bool sent = co_await send_response(*result, body, keep_alive, head_only, entry);
    result->body = {};  // ends the work behind it, also what still reads the request, while the request is there
    go_on = sent && keep_alive && !closes_after_;
    if (!sent) {
      entry.cut = true;
    } else if (!body.finished()) {
      unread_input_ = true;
      if (go_on) go_on = co_await discard_rest(body);
    }
  }
  body.release();
  loop_.counters.requests_active.fetch_sub(1, std::memory_order_relaxed);
  log(entry, began);
  exchange.clear();
}

// The client must not take what it has for the whole.
void Http1Session::break_off() {
  cut_ = true;
  stream_.set_reset_on_close();
}

bool Http1Session::may_keep_alive(const BodyReader& body, const Result<exchange::Response>& result) const {
  const http::Head& head = state_->head;
  if (!head.keep_alive || finishing_ || loop_.draining) return false;
  if (!result && closes_connection(result.error().code)) return false;
  const auto limit = settings().limits.requests_per_connection;
  if (limit != 0 && requests_ >= limit) return false;
  if (body.finished()) return true;
  // An unread body stands between us and the next request: a short one is read away, a long or unpromised one is not.
  if (head.expect_continue && !body.started()) return false;
  return body.left().value_or(kDiscardAtMost + 1) <= kDiscardAtMost;
}

net::Task<bool> Http1Session::send_response(exchange::Response& response, BodyReader& body, bool keep_alive,
                                            bool head_only, AccessEntry& entry) {
  ExchangeState& exchange = *state_;
  const auto& server = exchange.site->site->config().server;
  const auto length = response.body.length();
  http::Framing framing;
  if (has_no_body(response.status)) {
    framing.kind = http::Framing::Kind::none;
  } else if (length) {
    framing = {http::Framing::Kind::length, *length};
  } else if (exchange.head.minor_version == 0) {
    framing.kind = http::Framing::Kind::until_close;
    keep_alive = false;
    closes_after_ = true;
  } else {
    framing.kind = http::Framing::Kind::chunked;
  }
  using Connection = http::ResponseHead::Connection;
  http::append_response_head({.status = response.status,
                              .reason = response.reason,
                              .headers = &response.headers,
                              .framing = framing,
                              .common = &loop_.common.now(server_field(server, exchange.route)),
                              .request_id = exchange.id.text(),
                              .connection = !keep_alive                        ? Connection::close
                                            : exchange.head.minor_version == 0 ? Connection::keep_alive
                                                                               : Connection::unsaid},
                             exchange.output);
  entry.status = response.status;
  const std::size_t head_size = exchange.output.size();
  const bool sends_body = !head_only && framing.kind != http::Framing::Kind::none;
  ResponseWriter writer(stream_, loop_.world.blocking, {server.timeouts.send, server.min_rate, server.min_rate_grace});

  Result<void> sent;
  const bool streams = sends_body && response.body.as_stream();
  const auto* segment = sends_body ? response.body.as_file() : nullptr;
  if (!streams && !segment) {
    const auto* bytes = sends_body ? response.body.as_bytes() : nullptr;
    std::string_view content = bytes ? bytes->view : std::string_view();
    if (content.size() <= kCopiedBehindHead) {
      exchange.output.append(content);
      content = {};
    }
    auto whole = writer.try_send(exchange.output, content);
    if (!whole)
      sent = std::unexpected(std::move(whole.error()));
    else if (!*whole)
      sent = co_await writer.send_rest(exchange.output, content);
  } else if (segment) {
    sent = co_await writer.send_file(exchange.output, *segment);
  } else {
    body.watch_from_now();
    try {
      const bool chunked = framing.kind == http::Framing::Kind::chunked;
      const ResponseWriter::Streaming how{
          .chunked = chunked, .trailers = chunked && accepts_trailers(exchange.head), .length = length};
      sent = co_await writer.send_stream(exchange.output, response.body, how, client_left_);
    } catch (const std::exception& bug) {
      loop_.log.error("bug: an exception reached the server while {} was sent: {}", printable(exchange.path),
                      bug.what());
      sent = fail(Code::internal, "the server has a fault");
    }
  }
  entry.bytes = writer.sent() > head_size ? writer.sent() - head_size : 0;
  count(loop_.counters.bytes_sent, writer.sent());
  if (sent) co_return true;
  break_off();
  if (sent.error().code == Code::timed_out) count(loop_.counters.timeouts);
  if (sent.error().code != Code::closed && sent.error().code != Code::timed_out)
    log_failure(sent.error(), response.status);
  co_return false;
}

net::Task<bool> Http1Session::discard_rest(BodyReader& body) {
  while (!body.finished()) {
    auto chunk = co_await body.next();
    if (!chunk) co_return false;
  }
  unread_input_ = false;
  co_return true;
}

// Answers a request that could not be understood, and closes.
net::Task<void> Http1Session::refuse(Error error) {
  count(loop_.counters.refused);
  const auto began = loop_.world.loop.now();
  ExchangeState& exchange = *state_;
  exchange.id = loop_.ids.next();
  exchange::Response response = error_response(error, exchange, *exchange.site->site, nullptr);
  http::append_response_head({.status = response.status,
                              .headers = &response.headers,
                              .framing = {http::Framing::Kind::length, response.body.length().value_or(0)},
                              .common = &loop_.common.now(settings().server_header),
                              .request_id = exchange.id.text(),
                              .connection = http::ResponseHead::Connection::close},
                             exchange.output);
  ResponseWriter writer(stream_, loop_.world.blocking, {settings().timeouts.send, 0, {}});
  // Even a HEAD that could not be understood gets no body.
  const bool sends_body = response.body.as_bytes() && !stream_.buffered().starts_with("HEAD ");
  const std::string_view content = sends_body ? response.body.as_bytes()->view : std::string_view();
  AccessEntry entry{.client = peer_.address,
                    .unix_seconds = loop_.common.unix_seconds(),
                    .status = response.status,
                    .bytes = content.size(),
                    .request_id = exchange.id.text()};
  auto whole = writer.try_send(exchange.output, content);
  if (whole && !*whole) {
    auto rest = co_await writer.send_rest(exchange.output, content);
    entry.cut = !rest;
  }
  log(entry, began);
  co_await linger(settings().timeouts.linger);
}

// A close while the client still sends would be a reset, and could take the answer with it: half-close, and read away
// for a while.
net::Task<void> Http1Session::linger(std::chrono::milliseconds at_most) {
  stream_.shutdown_write();
  const auto deadline = loop_.world.loop.now() + at_most;
  while (true) {
    stream_.consume(stream_.buffered().size());
    auto got = co_await stream_.fill(deadline);
    if (!got || *got == 0) co_return;
  }
}

net::Task<bool> Http1Session::read_proxy_header() {
  const auto deadline = loop_.world.loop.now() + settings().timeouts.head;
  while (true) {
    auto header = parse_proxy_header(stream_.buffered());
    if (!header) {
      loop_.log.warn("a connection from {} was closed: {}", peer_.address, header.error().message);
      co_return false;
    }
    if (header->consumed > 0) {
      stream_.consume(header->consumed);
      if (header->known) {
        peer_.address = header->source_address;
        peer_.port = header->source_port;
        peer_.local_address = header->destination_address;
        peer_.local_port = header->destination_port;
      }
      co_return true;
    }
    auto got = co_await stream_.fill(deadline);
    if (!got || *got == 0) co_return false;
  }
}

void Http1Session::log(AccessEntry& entry, net::TimePoint began) {
  const auto took = loop_.world.loop.now() - began;
  entry.duration = std::chrono::duration_cast<std::chrono::microseconds>(took);
  auto& counters = loop_.counters;
  count(counters.responses[static_cast<std::size_t>(std::clamp(entry.status / 100, 0, 5))]);
  if (entry.status != 101) {  // how long a tunnel was open says nothing about how fast requests are answered
    const double seconds = std::chrono::duration<double>(took).count();
    std::size_t bucket = 0;
    while (bucket < kDurationBuckets.size() && seconds > kDurationBuckets[bucket]) ++bucket;
    count(counters.duration_buckets[bucket]);
    count(counters.duration_sum_us, static_cast<std::uint64_t>(entry.duration.count()));
  }
  if (!loop_.access_log) return;
  if (!entry.method.empty()) {
    entry.referer = state_->head.field("referer").value_or(std::string_view());
    entry.user_agent = state_->head.field("user-agent").value_or(std::string_view());
  }
  static thread_local std::string line;
  line.clear();
  append_access_line(entry, settings().access_format, line);
  loop_.access_log->append(line);
}

void Http1Session::log_failure(const Error& error, int status) {
  const auto& exchange = *state_;
  const std::string_view program =
      exchange.program.empty() ? std::string_view("the server") : std::string_view(exchange.program);
  if (exchange.failure_log.empty())
    loop_.log.error("{} {} {} ({}): {}", exchange.id.text(), status, printable(exchange.path), program, error.message);
  else
    loop_.log.error("{} {} {} ({}): {}\n{}", exchange.id.text(), status, printable(exchange.path), program,
                    error.message, exchange.failure_log);
}

}  // namespace fivefold::serve
