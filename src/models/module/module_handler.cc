#include "models/module/module_handler.h"

#include <ctime>

#include "base/text.h"
#include "config/module_section.h"
#include "exchange/request_words.h"
#include "exchange/sent_file.h"
#include "exchange/spooled_body.h"
#include "models/module/lease_owner.h"
#include "models/module/worker_line.h"
#include "models/module/worker_process.h"
#include "upstream/worker_stream_call.h"

namespace fivefold::models::module {
namespace {

using exchange::Exchange;
using exchange::Request;
using exchange::Response;
using process::Lease;

Error counted(Error error, const ModuleProgram& program) {
  program.status->count_failure(error.message);
  return error;
}

// The journey of the start that failed last, on the page and in the log.
Error tell_of_start(Error error, const ModuleProgram& program, Exchange& exchange) {
  if (const auto journey = program.pool->last_failure()) {
    exchange.failure_page_html = journey->as_html();
    exchange.failure_log = journey->as_text();
  }
  return counted(std::move(error), program);
}

// The client asks for a folder by its name: its relative links would lead elsewhere.
Response with_slash(const Request& request) {
  Response response{.status = 308};
  std::string location(request.head.raw_path);
  location += '/';
  while (location.starts_with("//")) location.erase(0, 1);  // "//host" would name another server
  if (request.head.has_query) location.append("?").append(request.head.query);
  response.headers.add("Location", location);
  return response;
}

// RFC 6455 section 4.1.
bool is_websocket(const http::Head& head) {
  if (!head.upgrade || head.method != http::Method::get || head.has_body() || head.minor_version != 1) return false;
  const auto upgrade = head.field("Upgrade");
  return upgrade && equals_ignoring_case(trim(*upgrade), "websocket");
}

}  // namespace

// What is known of the request before a worker is, and between two tries.
struct ModuleHandler::Attempt {
  std::optional<std::uint64_t> body_length;  // nothing: chunked
  bool sends_body = false;
  net::TimePoint soft;
  bool streams = false;  // the worker takes several requests at once
  bool upgrade = false;
};

net::Task<Result<Response>> ModuleHandler::handle(Request request, Exchange& exchange) {
  const Program program = program_;  // a reload may let go of this handler
  exchange.program = program->settings.name;
  auto selection = program->scripts.find(exchange.route_prefix, exchange.route_rest, exchange.world.loop.now());
  if (!selection) co_return std::unexpected(std::move(selection.error()));
  if (selection->kind == Selection::Kind::with_slash) co_return with_slash(request);
  if (selection->kind == Selection::Kind::file) {
    if (!program->files) co_return fail(Code::not_found, "no files are sent here");
    auto sent = co_await program->files->handle(std::move(request), exchange);
    co_return sent;
  }
  program->status->count_request();
  auto response = co_await run(program, std::move(*selection), request, exchange);
  co_return response;
}

net::Task<Result<void>> ModuleHandler::receive_body(Program program, Request& request, Exchange& exchange,
                                                    std::optional<std::uint64_t>& length) {
  auto body = co_await exchange::spool(std::move(request.body), {.memory = program->settings.module.body_memory},
                                       program->temporary_folder, exchange.world.blocking, exchange.world.loop);
  if (!body) co_return std::unexpected(std::move(body.error()));
  length = body->length().value_or(0);
  request.body = std::move(*body);
  co_return Result<void>();
}

net::Task<Result<Response>> ModuleHandler::run(Program program, Selection selection, Request& request,
                                               Exchange& exchange) {
  const config::Module& module = program->settings.module;
  net::Loop& loop = exchange.world.loop;
  const auto soft = std::min(request.deadline, loop.now() + program->settings.timeout);
  std::optional<std::uint64_t> length = request.head.content_length;
  const bool has_body = request.head.has_body();
  if (has_body && module.request_buffering != config::RequestBuffering::off) {
    auto received = co_await receive_body(program, request, exchange, length);
    if (!received) co_return std::unexpected(std::move(received.error()));
  }
  Attempt attempt{.body_length = length,
                  .sends_body = has_body && length != 0,
                  .soft = soft,
                  .streams = config::takes_streams(module),
                  .upgrade = !module.asgi.empty() && is_websocket(request.head)};
  process::LeaseWish wish{.request_id = exchange.id.text(), .what = exchange::request_in_words(request.head)};
  WorkerLine& line = *program->lines[loop.index()];
  const auto variables = [&] {
    return program->environment.build({.head = request.head,
                                       .peer = request.peer,
                                       .script_name = selection.script_name,
                                       .path_info = selection.path_info,
                                       .script_filename = selection.script_filename,
                                       .content_length = has_body ? length : std::nullopt,
                                       .request_id = exchange.id.text(),
                                       .user = exchange.user,
                                       .auth_type = exchange.auth_type,
                                       .redirected_path = exchange.redirected_path,
                                       .redirected_query = exchange.redirected_query});
  };
  // Only what fits a channel's socket at once goes ahead.
  const auto send_ahead = [&](upstream::WorkerChannel& channel) -> std::shared_ptr<upstream::WorkerExchange> {
    const auto* body = request.body.as_bytes();
    if (attempt.sends_body && (!body || body->view.size() > kMostAhead)) return nullptr;
    auto block = variables();
    if (block.bytes().size() > kMostAhead) return nullptr;
    return upstream::WorkerExchange::send_ahead(call(*program, attempt, channel, nullptr, request, exchange),
                                                std::move(block), request.body);
  };
  for (int left = kTries;; --left) {
    auto lease = program->pool->try_lease(wish);
    std::shared_ptr<upstream::WorkerExchange> sent;
    if (!lease && attempt.streams) {
      auto waited = co_await program->pool->lease(loop, wish);
      if (!waited) co_return std::unexpected(tell_of_start(std::move(waited.error()), *program, exchange));
      lease = std::move(*waited);
    } else if (!lease) {
      WaitingRequest waiting(program, line, loop, wish, request.body, send_ahead);
      auto turn = co_await waiting.turn();
      if (!turn && waiting.was_lost()) co_return std::unexpected(counted(std::move(turn.error()), *program));
      if (!turn) co_return std::unexpected(tell_of_start(std::move(turn.error()), *program, exchange));
      lease = std::move(turn->lease);
      sent = std::move(turn->sent);
    }
    wish.not_this = lease->instance();
    auto& address = static_cast<WorkerAddress&>(lease->address());
    const bool open = attempt.streams ? address.streams_on(loop)->is_open() : address.on(loop).stream() != nullptr;
    if (!sent && !open) {  // its end has been seen here, and is not known to the pool yet
      lease->died("its channel has ended");
      if (left > 0) continue;
      co_return std::unexpected(tell_of_start(
          {Code::program_failed, "The workers ended before they had read the request."}, *program, exchange));
    }
    auto block = sent ? process::StringBlock() : variables();
    if (!sent && !gateway::request_fits(block))
      co_return fail(Code::header_too_large, "the request has more header fields than a worker can be sent");
    auto answer =
        co_await ask(program, attempt, std::move(lease), std::move(sent), std::move(block), request, exchange);
    if (answer) {
      auto response = co_await respond(program, std::move(*answer), request, exchange);
      co_return response;
    }
    auto& failure = answer.error();
    if (failure.unread && !failure.body_touched && left > 0) {
      request.body = std::move(failure.body);
      continue;
    }
    const bool its_own = failure.error.code == Code::program_failed || failure.error.code == Code::program_timeout ||
                         failure.error.code == Code::internal;
    if (!its_own) co_return std::unexpected(std::move(failure.error));  // the client's
    if (failure.error.code == Code::program_failed)
      co_return std::unexpected(tell_of_start(std::move(failure.error), *program, exchange));
    co_return std::unexpected(counted(std::move(failure.error), *program));
  }
}

upstream::WorkerCall ModuleHandler::call(const ModuleProgram& program, Attempt& attempt,
                                         upstream::WorkerChannel& channel, std::unique_ptr<upstream::WorkerOwner> owner,
                                         Request& request, Exchange& exchange) {
  const config::Module& module = program.settings.module;
  return {.channel = channel,
          .owner = std::move(owner),
          .exchange = exchange,
          .method = request.head.method,
          .body = attempt.sends_body ? std::move(request.body) : exchange::Body(),
          .body_length = attempt.body_length,
          .soft = attempt.soft,
          .hard = attempt.soft + module.timeout_grace,
          .head_limit = module.output_head,
          .cgi_redirects = module.language == config::Language::perl && module.psgi.empty(),
          .buffer = module.buffer};
}

// One that was sent ahead has its turn now; any other is sent.
net::Task<upstream::WorkerResult> ModuleHandler::ask(Program program, Attempt& attempt, std::unique_ptr<Lease> lease,
                                                     std::shared_ptr<upstream::WorkerExchange> sent,
                                                     process::StringBlock variables, Request& request,
                                                     Exchange& exchange) {
  const config::Module& module = program->settings.module;
  net::Loop& loop = exchange.world.loop;
  auto& address = static_cast<WorkerAddress&>(lease->address());
  std::string id(exchange.id.text());
  if (attempt.streams)
    return upstream::call_worker_stream(
        {.streams = address.streams_on(loop),
         .owner = std::make_unique<LeaseOwner>(std::move(lease), program, std::move(id), nullptr, nullptr),
         .exchange = exchange,
         .method = request.head.method,
         .body = attempt.sends_body ? std::move(request.body) : exchange::Body(),
         .body_length = attempt.body_length,
         .soft = attempt.soft,
         .hard = attempt.soft + module.timeout_grace,
         .head_limit = module.output_head,
         .upgrade = attempt.upgrade,
         .tunnel_timeout = module.tunnel_timeout},
        std::move(variables));
  auto& channel = address.on(loop);
  WorkerLine& line = *program->lines[loop.index()];
  if (!sent) line.begins(channel);
  auto owner = std::make_unique<LeaseOwner>(std::move(lease), program, std::move(id), &line, &channel);
  if (sent) return upstream::WorkerExchange::go_on_with(std::move(sent), std::move(owner));
  return upstream::call_worker(call(*program, attempt, channel, std::move(owner), request, exchange),
                               std::move(variables));
}

net::Task<Result<Response>> ModuleHandler::respond(Program program, upstream::Answer answer, Request& request,
                                                   Exchange& exchange) {
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
  const auto& xsendfile_root = program->settings.module.xsendfile_root;
  if (!answer.send_file.empty() && !xsendfile_root.empty()) {
    const bool status_given = response.status != 200;
    response.body = {};
    auto sent = exchange::send_file(xsendfile_root, answer.send_file, std::move(response), status_given, request.head,
                                    static_cast<std::int64_t>(std::time(nullptr)));
    if (!sent) program->status->count_failure(sent.error().message);
    co_return sent;
  }
  co_return response;
}

}  // namespace fivefold::models::module
