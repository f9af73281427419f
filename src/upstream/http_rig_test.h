#pragma once
// What the tests of calls in HTTP/1.1 share.
#include "upstream/call_rig_test.h"

namespace fivefold::upstream {

struct Ask {
  http::Method method = http::Method::get;
  std::string target = "/";
  std::string upgrade = {};
  std::string extra_field = {};  // "Name: value"
  std::function<exchange::Body(net::Loop&)> body = {};
  std::optional<std::uint64_t> body_length = {};
};

inline std::string_view method_text(http::Method method) {
  switch (method) {
    case http::Method::head:
      return "HEAD";
    case http::Method::post:
      return "POST";
    case http::Method::put:
      return "PUT";
    default:
      return "GET";
  }
}

inline std::string ok_with(std::string_view body, std::string_view fields = {}) {
  return "HTTP/1.1 200 OK\r\n" + std::string(fields) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body);
}

class HttpCallTest : public CallRig {
 protected:
  net::Task<void> ask_for(Ask ask, Outcome& outcome) {
    auto call = co_await prepare();
    if (!call) {
      outcome.failure = CallFailure{.error = std::move(call.error())};
      co_return;
    }
    call->method = ask.method;
    if (ask.body) {
      call->has_body = true;
      call->body = ask.body(loop_);
      call->body_length = ask.body_length;
    }
    OutgoingHead head{.method = method_text(ask.method), .target = ask.target, .upgrade = ask.upgrade};
    head.fields.add("Host", "example.org");
    if (const auto colon = ask.extra_field.find(": "); colon != std::string::npos)
      head.fields.add(ask.extra_field.substr(0, colon), ask.extra_field.substr(colon + 2));
    auto answer = co_await call_http(std::move(*call), std::move(head));
    if (!answer) {
      outcome.failure = std::move(answer.error());
      co_return;
    }
    outcome.status = answer->status;
    outcome.reason = answer->reason;
    outcome.fields = answer->headers.wire();
    outcome.send_file = answer->send_file;
    outcome.tunnel = std::move(answer->tunnel);
    outcome.whole = answer->body.as_stream() == nullptr;
    outcome.idle_at_answer = home_->idle();
    outcome.length = answer->body.length();
    while (true) {
      auto chunk = co_await answer->body.next();
      if (!chunk) outcome.broken = std::move(chunk.error());
      if (!chunk || chunk->empty()) break;
      outcome.body.append(*chunk);
      outcome.chunks.emplace_back(*chunk);
      if (on_chunk_) on_chunk_(*chunk);
    }
    if (const auto* stream = answer->body.as_stream(); stream && stream->trailers())
      outcome.trailers = stream->trailers()->wire();
  }
  Outcome ask(Ask ask = {}) {
    Outcome outcome;
    run(ask_for(std::move(ask), outcome));
    if (!outcome.tunnel && !outcome.failure) EXPECT_EQ(owner_.gone, owner_.made);
    return outcome;
  }
  // An application that reads a request's head, sends `bytes` and closes.
  Outcome answered_by(std::string bytes, Ask question = {}) {
    home_.reset();
    serve([bytes](AppSide& app) {
      app.read_head();
      app.send(bytes);
    });
    return ask(std::move(question));
  }

  std::function<void(std::string_view)> on_chunk_;
};

}  // namespace fivefold::upstream
