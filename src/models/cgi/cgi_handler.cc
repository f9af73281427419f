#include "models/cgi/cgi_handler.h"

#include <ctime>

#include "base/text.h"
#include "exchange/sent_file.h"
#include "exchange/unsent.h"
#include "gateway/cgi_environment.h"
#include "gateway/cgi_response.h"
#include "gateway/index_query.h"
#include "http/conditional.h"
#include "http/date.h"
#include "models/cgi/request_input.h"
#include "models/cgi/script_diagnosis.h"

namespace fivefold::models::cgi {
namespace {

using exchange::Body;
using exchange::Exchange;
using exchange::Request;
using exchange::Response;
using gateway::CgiHead;

bool is_get_or_head(const http::Head& head) {
  return head.method == http::Method::get || head.method == http::Method::head;
}

// A failure before there was a process, or when there could be none.
Error tell(Error error, process::Journey& journey, std::string mend, const CgiProgram& program, Exchange& exchange) {
  journey.failed(error.message, std::move(mend));
  exchange.failure_page_html = journey.as_html();
  exchange.failure_log = journey.as_text();
  program.status->count_failure(error.message);
  return error;
}

bool is_programs_failure(const Error& error) {
  return error.code == Code::program_failed || error.code == Code::program_unavailable || error.code == Code::internal;
}

process::SpawnPlan plan_for(const CgiProgram& program, const Script& script, const Request& request,
                            const Exchange& exchange, const RequestInput& input) {
  process::SpawnPlan plan;
  plan.program = program.index;
  plan.directory = program.settings.working_directory.empty() ? script.directory : program.settings.working_directory;
  if (program.interpreter.empty()) {
    plan.executable = script.file;
    plan.arguments.add(script.file);
    if (program.settings.cgi.index_query &&
        !script.file.ends_with(".php"))  // CVE-2012-1823: never as options of an interpreter
      for (const auto& word : gateway::index_words(request.head.method, request.head.query)) plan.arguments.add(word);
  } else {
    plan.executable = program.interpreter;
    for (const auto& argument : program.settings.cgi.interpreter) plan.arguments.add(argument);
    plan.arguments.add(script.file);
  }
  plan.environment = program.environment.build({.head = request.head,
                                                .peer = request.peer,
                                                .script_name = script.name,
                                                .path_info = script.path_info,
                                                .script_filename = script.file,
                                                .content_length = input.length,
                                                .request_id = exchange.id.text(),
                                                .user = exchange.user,
                                                .auth_type = exchange.auth_type,
                                                .redirected_path = exchange.redirected_path,
                                                .redirected_query = exchange.redirected_query});
  return plan;
}

// RFC 9110 section 13 on what the script has said of its document; only for the success that a condition is about.
http::Condition condition_of(const CgiHead& head, const http::Headers& headers, const Request& request,
                             std::int64_t now) {
  if (head.status_given || head.kind != CgiHead::Kind::document || !is_get_or_head(request.head))
    return http::Condition::proceed;
  const auto etag = headers.get("ETag");
  const auto modified = http::parse_date(headers.get("Last-Modified"), now);
  if (etag.empty() && !modified) return http::Condition::proceed;
  return http::evaluate(request.head, {.etag = etag, .last_modified = modified}, now);
}

}  // namespace

net::Task<Result<Response>> CgiHandler::handle(Request request, Exchange& exchange) {
  const Program program = program_;  // a reload may let go of this handler
  exchange.program = program->settings.name;
  program->status->count_request();

  auto script = program->finder.find(exchange.route_prefix, exchange.route_rest, exchange.world.loop.now());
  if (!script) {
    process::Journey journey(exchange.world.loop.now());
    if (is_programs_failure(script.error()) || script.error().code == Code::forbidden) {
      journey.failed(script.error().message);
      exchange.failure_page_html = journey.as_html();
      exchange.failure_log = journey.as_text();
    }
    co_return std::unexpected(std::move(script.error()));
  }
  auto running = co_await start(program, std::move(*script), request, exchange);
  if (!running) co_return std::unexpected(std::move(running.error()));
  auto response = co_await respond(program, std::move(*running), request, exchange);
  co_return response;
}

net::Task<Result<std::unique_ptr<RunningScript>>> CgiHandler::start(Program program, Script script, Request& request,
                                                                    Exchange& exchange) {
  exchange::World& world = exchange.world;
  const auto begun = world.loop.now();
  const auto deadline = std::min(request.deadline, begun + program->settings.timeout);
  auto journey = std::make_shared<process::Journey>(begun);
  journey->step("found", begun, script.file);

  auto input = co_await receive_input(std::move(request.body), request.head, world, program->settings.cgi.body_memory,
                                      program->temporary_folder);
  if (!input) co_return std::unexpected(std::move(input.error()));
  if (input->length)
    journey->step("body received", world.loop.now(),
                  input->is_streamed() ? "streamed" : std::to_string(*input->length) + " bytes");

  auto place = co_await program->admission->enter(world.loop);
  if (!place)
    co_return std::unexpected(
        tell(std::move(place.error()), *journey, "Raise concurrency, or make the program faster.", *program, exchange));

  auto plan = plan_for(*program, script, request, exchange, *input);
  auto process = co_await ScriptProcess::start(world, program, std::move(plan), std::move(*input), std::move(*place),
                                               script.name, std::string(exchange.id.text()), journey);
  if (!process) {
    Error& error = process.error();
    const std::string& executable = program->interpreter.empty() ? script.file : program->interpreter;
    auto mend = likely_mend({.script = executable, .message = error.message});
    co_return std::unexpected(tell(std::move(error), *journey, std::move(mend), *program, exchange));
  }
  journey->step("spawned", world.loop.now(), "pid " + std::to_string((*process)->child().pid()));
  co_return std::make_unique<RunningScript>(std::move(*process), program, script.file, journey, exchange, deadline);
}

net::Task<Result<Response>> CgiHandler::respond(Program program, std::unique_ptr<RunningScript> running,
                                                Request& request, Exchange& exchange) {
  auto got = co_await running->head();
  if (!got) co_return std::unexpected(std::move(got.error()));
  CgiHead head = std::move(*got);

  if (head.kind == CgiHead::Kind::local_redirect) {
    running->let_go();
    running.reset();
    if (exchange.redirected_path.empty()) {
      exchange.redirected_path = request.head.raw_path;
      exchange.redirected_query = request.head.query;
    }
    auto elsewhere = co_await exchange.redirect_locally(std::move(head.local_target));
    if (elsewhere) {
      head.headers.for_each([&elsewhere](std::string_view name, std::string_view value) {
        if (name.size() == 10 && equals_ignoring_case(name, "Set-Cookie")) elsewhere->headers.add(name, value);
      });
    }
    co_return elsewhere;
  }

  const auto unix_now = static_cast<std::int64_t>(std::time(nullptr));
  Response response{.status = head.status, .reason = std::move(head.reason), .headers = std::move(head.headers)};

  if (!head.send_file.empty() && !program->settings.cgi.xsendfile_root.empty()) {
    running->let_go();
    running.reset();
    auto sent = exchange::send_file(program->settings.cgi.xsendfile_root, head.send_file, std::move(response),
                                    head.status_given, request.head, unix_now);
    if (!sent && sent.error().code == Code::program_failed) {
      process::Journey journey(exchange.world.loop.now());
      co_return std::unexpected(tell(std::move(sent.error()), journey, {}, *program, exchange));
    }
    co_return sent;
  }

  switch (condition_of(head, response.headers, request, unix_now)) {
    case http::Condition::not_modified:
      running->stop();
      response.status = 304;
      response.headers.remove("Content-Type");
      co_return response;
    case http::Condition::precondition_failed:
      running->stop();
      co_return fail(Code::precondition_failed, "the document is not the one that the request's conditions ask for");
    case http::Condition::proceed:
      break;
  }

  if (response.status == 204 || response.status == 304) {  // never has a body (RFC 9110 sections 15.3.5, 15.4.5)
    running->let_go();
    co_return response;
  }
  if (request.head.method == http::Method::head) {
    running->stop();
    response.body = Body::stream(std::make_unique<exchange::Unsent>(head.content_length));
    co_return response;
  }

  auto whole = co_await running->whole_body();
  if (!whole) co_return std::unexpected(std::move(whole.error()));
  response.body = *whole ? Body::text(std::move(**whole)) : Body::stream(std::move(running));
  co_return response;
}

}  // namespace fivefold::models::cgi
