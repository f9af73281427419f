// The end of HTTP on a connection: 101 Switching Protocols (RFC 9110 section 7.8), and what comes after it.
#include "base/text.h"
#include "http/response_head.h"
#include "serve/http1_session.h"
#include "serve/tunnel_pump.h"

namespace fivefold::serve {
namespace {

// Every protocol that is switched to has been asked for (RFC 9110 section 7.8).
bool was_asked_for(const http::Head& head, std::string_view switched_to) {
  bool all = !trim(switched_to).empty();
  for_each_list_item(switched_to, [&](std::string_view protocol) {
    bool asked = false;
    for (const auto& field : head.fields)
      if (equals_ignoring_case(field.name, "upgrade"))
        for_each_list_item(field.value,
                           [&](std::string_view offer) { asked = asked || equals_ignoring_case(offer, protocol); });
    all = all && asked;
  });
  return all;
}

}  // namespace

// For a response whose status is below 200: a final one can only be 101, and only where the client has asked for it.
Result<void> Http1Session::may_switch_protocols(const exchange::Response& response, const BodyReader& body) const {
  const http::Head& head = state_->head;
  if (response.status != 101)
    return fail(Code::program_failed, fmt::format("the program ended its response with the interim status {}; it has "
                                                  "to send a final one",
                                                  response.status));
  if (!response.tunnel)
    return fail(Code::program_failed, "the program answered 101 (Switching Protocols), which its model cannot carry");
  if (head.minor_version == 0 || !head.upgrade)
    return fail(Code::program_failed,
                "the program answered 101 (Switching Protocols) although the client had not asked to switch");
  if (!was_asked_for(head, response.headers.get("Upgrade")))
    return fail(Code::program_failed, fmt::format("the program switched to \"{}\", which the client had not asked for",
                                                  printable(response.headers.get("Upgrade"))));
  if (!body.finished())
    return fail(Code::program_failed,
                "the program answered 101 (Switching Protocols) before it had read the request's body");
  return {};
}

// `output` may begin with the rest of an interim response. However the tunnel ends, also when it is let go of while the
// server stops, it leaves its line in the access log.
net::Task<void> Http1Session::switch_protocols(exchange::Response& response, AccessEntry entry, net::TimePoint began) {
  ExchangeState& exchange = *state_;
  const auto& server = exchange.site->site->config().server;
  TunnelPump pump(stream_, *response.tunnel, server.timeouts.send, loop_.counters);
  struct Open {
    Http1Session& session;
    const TunnelPump& pump;
    AccessEntry entry;
    net::TimePoint began;
    ~Open() {
      session.loop_.counters.tunnels_open.fetch_sub(1, std::memory_order_relaxed);
      entry.bytes = pump.sent();
      session.log(entry, began);
    }
  } open{*this, pump, entry, began};
  loop_.counters.tunnels.fetch_add(1, std::memory_order_relaxed);
  loop_.counters.tunnels_open.fetch_add(1, std::memory_order_relaxed);
  open.entry.status = response.status;
  open.entry.cut = true;

  stream_.unwatch();
  http::append_response_head({.status = response.status,
                              .reason = response.reason,
                              .headers = &response.headers,
                              .framing = {http::Framing::Kind::none},
                              .common = &loop_.common.now(server.server_header),
                              .request_id = exchange.id.text(),
                              .connection = http::ResponseHead::Connection::upgrade},
                             exchange.output);
  ResponseWriter writer(stream_, loop_.world.blocking, {server.timeouts.send, 0, {}});
  Result<void> sent;
  const auto whole = writer.try_send(exchange.output, {});
  if (!whole)
    sent = std::unexpected(whole.error());
  else if (!*whole)
    sent = co_await writer.send_rest(exchange.output, {});
  loop_.counters.bytes_sent.fetch_add(writer.sent(), std::memory_order_relaxed);
  std::string().swap(exchange.output);  // a tunnel may stay for long
  if (!sent) {
    if (sent.error().code == Code::timed_out) loop_.counters.timeouts.fetch_add(1, std::memory_order_relaxed);
    break_off();
    co_return;
  }

  const auto end = co_await pump.run();
  using Reason = TunnelPump::Reason;
  if (end.reason == Reason::ended) {
    open.entry.cut = false;
    unread_input_ = !end.client_ended;
    co_return;
  }
  if (end.reason == Reason::program_left || end.reason == Reason::program_broke)
    co_await pump.let_client_take_the_rest();
  break_off();
  if (end.reason == Reason::idle || end.reason == Reason::client_stalled)
    loop_.counters.timeouts.fetch_add(1, std::memory_order_relaxed);
  if (end.reason == Reason::program_broke) log_failure(end.error, response.status);
}

}  // namespace fivefold::serve
