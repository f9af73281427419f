#include "serve/exchange_state.h"

#include "http/response_head.h"

namespace fivefold::serve {
namespace {

constexpr int kMaxLocalRedirects = 10;  // as Apache's; a loop is an error and not a hang

}  // namespace

net::Task<Result<exchange::Response>> ExchangeState::redirect_locally(std::string target) {
  if (++redirects > kMaxLocalRedirects)
    co_return fail(Code::internal, "more than 10 local redirects in one request; the last is to " + target);
  auto& next = *redirected.emplace_back(std::make_unique<Redirected>());
  next.target = std::move(target);
  // The new request is a GET for the new target with the same fields, without a body (RFC 3875 section 6.2.2).
  next.head = head;
  next.head.method = http::Method::get;
  next.head.method_text = "GET";
  if (head.method == http::Method::head) {
    next.head.method = http::Method::head;
    next.head.method_text = "HEAD";
  }
  next.head.form = http::TargetForm::origin;
  next.head.target = next.target;
  const std::string_view whole = next.target;
  const auto question = whole.find('?');
  next.head.raw_path = whole.substr(0, question);
  next.head.has_query = question != std::string_view::npos;
  next.head.query = next.head.has_query ? whole.substr(question + 1) : std::string_view();
  next.head.content_length.reset();
  next.head.chunked = false;
  next.head.expect_continue = false;

  auto resolution = resolve(*site->site, next.head, next.path, *this);
  if (!resolution) co_return std::unexpected(std::move(resolution.error()));
  if (resolution->ready) co_return std::move(*resolution->ready);
  exchange::Request request{next.head, next.path, {}, *peer, net::kNever};
  co_return co_await resolution->handler->handle(std::move(request), *this);
}

net::Task<void> ExchangeState::send_interim(int status, http::Headers headers) {
  if (interim == nullptr || head.minor_version == 0 || status < 102 || status > 199) co_return;
  std::string bytes;
  http::append_response_head({.status = status, .headers = &headers, .framing = {http::Framing::Kind::none}}, bytes);
  interim->may_send(bytes);
}

void ExchangeState::clear() {
  interim = nullptr;
  redirected.clear();
  peer = nullptr;
  client = {};
  user.clear();
  auth_type.clear();
  program.clear();
  failure_page_html.clear();
  failure_log.clear();
  redirected_path.clear();
  redirected_query.clear();
  redirects = 0;
  output.clear();
  route_prefix = route_rest = {};
}

}  // namespace fivefold::serve
