#include "models/app/app_handler.h"

#include <fmt/format.h>

#include <ctime>

#include "base/text.h"
#include "exchange/request_words.h"
#include "exchange/sent_file.h"
#include "exchange/spooled_body.h"
#include "exchange/unsent.h"
#include "models/app/app_instance.h"
#include "models/app/outgoing.h"
#include "models/app/script_path.h"

namespace fivefold::models::app {
namespace {

using exchange::Body;
using exchange::Exchange;
using exchange::Request;
using exchange::Response;
using process::Lease;

bool speaks_http(config::Protocol protocol) {
  return protocol == config::Protocol::http || protocol == config::Protocol::h2c;
}

// Whether sending it twice does what sending it once does (RFC 9110 section 9.2.1).
bool is_safe(http::Method method) {
  return method == http::Method::get || method == http::Method::head || method == http::Method::options ||
         method == http::Method::trace;
}

// Keeps the instance leased for as long as its answer lasts.
class LeaseOwner final : public upstream::CallOwner {
 public:
  LeaseOwner(std::unique_ptr<Lease> lease, std::shared_ptr<const AppProgram> program)
      : lease_(std::move(lease)), program_(std::move(program)) {}
  void broke(const Error& error) override {
    if (error.code == Code::closed || error.code == Code::request_timeout) return;  // the client's doing
    lease_->failed();
    program_->status->count_failure(error.message);
  }
  void error_output(std::string_view bytes) override { program_->error_lines->take(bytes, lease_->pid()); }
  void outlives_request() override { lease_->keep_words(); }
  Lease& lease() { return *lease_; }

 private:
  std::unique_ptr<Lease> lease_;
  std::shared_ptr<const AppProgram> program_;
};

// An application to which there is no connection is as good as one that does not answer.
Error not_reached(Error error) {
  if (error.code == Code::timed_out) error.code = Code::program_timeout;
  if (error.code == Code::program_unavailable) error.code = Code::program_failed;
  return error;
}

// The journey of the start that failed last, on the page and in the log.
Error tell(Error error, const AppProgram& program, Exchange& exchange) {
  if (const auto journey = program.pool->last_failure(); journey && error.code != Code::program_timeout) {
    exchange.failure_page_html = journey->as_html();
    exchange.failure_log = journey->as_text();
  }
  program.status->count_failure(error.message);
  return error;
}

}  // namespace

// What is known of the request before an instance is, and between two tries.
struct AppHandler::Attempt {
  process::LeaseWish wish;
  net::TimePoint deadline;
  std::optional<std::uint64_t> body_length;  // nothing: chunked
  bool has_body = false;
  std::optional<ScriptPath> script;  // of the protocols that speak in CGI's variables
  std::uint32_t tries_left = 0;
};

net::Task<Result<Response>> AppHandler::handle(Request request, Exchange& exchange) {
  const Program program = program_;  // a reload may let go of this handler
  const config::App& app = program->settings.app;
  net::Loop& loop = exchange.world.loop;
  exchange.program = program->settings.name;
  program->status->count_request();

  Attempt attempt{.wish = {.request_id = exchange.id.text(), .what = exchange::request_in_words(request.head)},
                  .deadline = std::min(request.deadline, loop.now() + program->settings.timeout),
                  .body_length = request.head.content_length,
                  .has_body = request.head.has_body(),
                  .tries_left = app.retries};
  if (!app.sticky.empty())
    attempt.wish.sticky = static_cast<std::uint32_t>(parse_decimal(cookie_value(request.head, app.sticky)).value_or(0));
  if (!speaks_http(app.protocol)) {
    attempt.script = split_script_path(app, exchange.route_prefix, exchange.route_rest);
    if (!attempt.script) co_return fail(Code::not_found, "there is no script at this path");
  }
  const bool needs_length = !speaks_http(app.protocol) && request.head.chunked;
  if (needs_length || (attempt.has_body && app.request_buffering != config::RequestBuffering::off)) {
    auto received = co_await receive_body(program, request, exchange, attempt);
    if (!received) co_return std::unexpected(std::move(received.error()));
  }

  while (true) {
    auto lease = co_await find_instance(program, attempt, exchange);
    if (!lease) co_return std::unexpected(tell(std::move(lease.error()), *program, exchange));
    const auto instance = (*lease)->instance();
    auto& connections = static_cast<AppAddress&>((*lease)->address()).on(loop);
    const bool multiplexed = app.protocol == config::Protocol::h2c;  // its one connection is opened by the call
    auto connection = multiplexed ? nullptr : connections.take_idle();
    if (!connection && !multiplexed) {
      auto opened = co_await connections.open();
      if (!opened) {
        // Nothing has left: another instance, or the one that takes its place, may have the request.
        (*lease)->unreachable(opened.error().message);
        attempt.wish.not_this = instance;
        if (attempt.tries_left > 0) {
          --attempt.tries_left;
          continue;
        }
        co_return std::unexpected(tell(not_reached(std::move(opened.error())), *program, exchange));
      }
      connection = std::move(*opened);
    }
    auto answer = co_await call(program, std::move(connection), std::move(*lease), attempt, request, exchange);
    if (answer) {
      auto response = co_await respond(program, std::move(*answer), instance, request, exchange);
      co_return response;
    }
    upstream::CallFailure& failure = answer.error();
    if (failure.unsent) failure.error = not_reached(std::move(failure.error));
    const bool its_own = failure.error.code == Code::program_failed || failure.error.code == Code::program_timeout ||
                         failure.error.code == Code::program_unavailable;
    if (!its_own) co_return std::unexpected(std::move(failure.error));  // the client's
    auto* owner = static_cast<LeaseOwner*>(failure.owner.get());
    const bool whole = !attempt.has_body || !failure.body_touched;
    const bool safe = is_safe(request.head.method);
    // There was no connection, or an application that goes on has declined it.
    const bool not_taken = failure.unsent || failure.declined;
    // Nobody has read all of it; but whoever has its head may act before they read its body.
    const bool not_begun = not_taken || (failure.unread && (safe || !attempt.has_body));
    // A kept connection that ends without a byte has most likely crossed our request, which is sent again: when nobody
    // can have begun with it, or when doing twice what was asked for once is harmless.
    if (failure.came_to_nothing && failure.reused && whole && (not_begun || safe)) {
      request.body = std::move(failure.body);
      continue;
    }
    // The same of a process of ours that died before it had read the request: behind an address may be a proxy.
    const bool may_go_elsewhere = not_taken || (not_begun && owner && owner->lease().pid() != 0);
    if (may_go_elsewhere && whole && owner && attempt.tries_left > 0) {
      --attempt.tries_left;
      if (failure.declined) {
        owner->lease().failed();
      } else {
        owner->lease().unreachable(failure.error.message);
        attempt.wish.not_this = instance;
      }
      request.body = std::move(failure.body);
      continue;
    }
    if (owner) {
      owner->lease().failed();
      if (failure.error.code == Code::program_timeout && app.on_timeout == config::OnTimeout::replace)
        owner->lease().replace("the request " + printable(attempt.wish.what) +
                               " passed its time: " + failure.error.message);
    }
    co_return std::unexpected(tell(std::move(failure.error), *program, exchange));
  }
}

net::Task<Result<void>> AppHandler::receive_body(Program program, Request& request, Exchange& exchange,
                                                 Attempt& attempt) {
  auto body = co_await exchange::spool(std::move(request.body), {.memory = program->settings.app.body_memory},
                                       program->temporary_folder, exchange.world.blocking, exchange.world.loop);
  if (!body) co_return std::unexpected(std::move(body.error()));
  attempt.body_length = body->length().value_or(0);
  attempt.has_body = *attempt.body_length > 0;
  request.body = std::move(*body);
  co_return Result<void>();
}

net::Task<Result<std::unique_ptr<Lease>>> AppHandler::find_instance(Program program, Attempt& attempt,
                                                                    Exchange& exchange) {
  if (auto lease = program->pool->try_lease(attempt.wish)) co_return std::move(lease);
  auto lease = co_await program->pool->lease(exchange.world.loop, attempt.wish);
  co_return lease;
}

net::Task<upstream::CallResult> AppHandler::call(Program program, std::unique_ptr<upstream::Connection> connection,
                                                 std::unique_ptr<Lease> lease, Attempt& attempt, Request& request,
                                                 Exchange& exchange) {
  const config::App& app = program->settings.app;
  auto& home = static_cast<AppAddress&>(lease->address()).on(exchange.world.loop);
  upstream::Call call{.connection = std::move(connection),
                      .home = home,
                      .owner = std::make_unique<LeaseOwner>(std::move(lease), program),
                      .exchange = exchange,
                      .method = request.head.method,
                      .body = std::move(request.body),
                      .body_length = attempt.body_length,
                      .has_body = attempt.has_body,
                      .timeouts = {.first_byte = app.first_byte_timeout,
                                   .idle = app.idle_timeout,
                                   .send = app.send_timeout,
                                   .tunnel = app.tunnel_timeout,
                                   .deadline = attempt.deadline},
                      .head_limit = app.output_head};
  if (app.protocol == config::Protocol::h2c) {
    auto& shared =
        static_cast<AppAddress&>(static_cast<LeaseOwner&>(*call.owner).lease().address()).h2_on(exchange.world.loop);
    auto answer = co_await upstream::call_h2c(shared, std::move(call), outgoing_head(*program, request, exchange));
    co_return answer;
  }
  if (speaks_http(app.protocol)) {
    auto answer = co_await upstream::call_http(std::move(call), outgoing_head(*program, request, exchange));
    co_return answer;
  }
  auto environment =
      program->environment.build({.head = request.head,
                                  .peer = request.peer,
                                  .script_name = attempt.script->script_name,
                                  .path_info = attempt.script->path_info,
                                  .script_filename = attempt.script->script_filename,
                                  .content_length = attempt.has_body ? attempt.body_length : std::nullopt,
                                  .request_id = exchange.id.text(),
                                  .user = exchange.user,
                                  .auth_type = exchange.auth_type,
                                  .redirected_path = exchange.redirected_path,
                                  .redirected_query = exchange.redirected_query});
  if (app.protocol == config::Protocol::fastcgi) {
    auto answer = co_await upstream::call_fastcgi(std::move(call), std::move(environment));
    co_return answer;
  }
  if (app.protocol == config::Protocol::scgi) {
    auto answer = co_await upstream::call_scgi(std::move(call), std::move(environment));
    co_return answer;
  }
  auto answer = co_await upstream::call_uwsgi(std::move(call), std::move(environment));
  co_return answer;
}

net::Task<Result<Response>> AppHandler::respond(Program program, upstream::Answer answer, std::uint32_t instance,
                                                Request& request, Exchange& exchange) {
  const config::App& app = program->settings.app;
  if (!answer.local_target.empty()) {
    answer.body = {};
    if (exchange.redirected_path.empty()) {
      exchange.redirected_path = request.head.raw_path;
      exchange.redirected_query = request.head.query;
    }
    auto elsewhere = co_await exchange.redirect_locally(std::move(answer.local_target));
    co_return elsewhere;
  }
  Response response{.status = answer.status,
                    .reason = std::move(answer.reason),
                    .headers = std::move(answer.headers),
                    .body = std::move(answer.body),
                    .tunnel = std::move(answer.tunnel)};
  if (!app.sticky.empty() && parse_decimal(cookie_value(request.head, app.sticky)).value_or(0) != instance)
    response.headers.add("Set-Cookie", fmt::format("{}={}; Path=/; HttpOnly; SameSite=Lax{}", app.sticky, instance,
                                                   request.peer.secure ? "; Secure" : ""));
  if (!answer.send_file.empty() && !app.xsendfile_root.empty()) {
    const bool status_given = response.status != 200;
    response.body = {};
    auto sent = exchange::send_file(app.xsendfile_root, answer.send_file, std::move(response), status_given,
                                    request.head, static_cast<std::int64_t>(std::time(nullptr)));
    if (!sent) program->status->count_failure(sent.error().message);
    co_return sent;
  }
  co_return response;
}

}  // namespace fivefold::models::app
