#pragma once
// Calls of the CGI-like protocols on CallRig's application.
#include <string>

#include "gateway/fastcgi.h"
#include "upstream/call_rig_test.h"

namespace fivefold::upstream {

// FastCGI records as an application sends them.
inline std::string record(int type, std::string_view content, std::size_t padding = 0, int id = 1) {
  std::string out{1,
                  static_cast<char>(type),
                  static_cast<char>(id >> 8),
                  static_cast<char>(id),
                  static_cast<char>(content.size() >> 8),
                  static_cast<char>(content.size()),
                  static_cast<char>(padding),
                  0};
  return out.append(content).append(padding, 'x');
}
inline std::string stdout_record(std::string_view content) { return record(6, content, (8 - content.size() % 8) % 8); }
inline std::string stderr_record(std::string_view content) { return record(7, content); }
inline std::string end_record(int protocol_status = 0, int status = 0) {
  return record(3, std::string{0, 0, 0, static_cast<char>(status), static_cast<char>(protocol_status), 0, 0, 0});
}

// What a FastCGI application gets of one request.
struct ReceivedRequest {
  bool keep = false;
  std::string params;
  std::string body;
  bool whole = false;  // the end of STDIN has come
  std::size_t records = 0;
};
inline bool read_record(AppSide& app, int& type, std::string& content) {
  const std::string header = app.read(8);
  if (header.size() < 8) return false;
  type = header[1];
  const std::size_t size = static_cast<std::uint8_t>(header[4]) << 8 | static_cast<std::uint8_t>(header[5]);
  content = app.read(size + static_cast<std::uint8_t>(header[6]));
  content.resize(std::min(size, content.size()));
  return true;
}
// Up to the end of PARAMS.
inline bool read_begin(AppSide& app, ReceivedRequest& request) {
  int type = 0;
  std::string content;
  if (!read_record(app, type, content) || type != 1 || content.size() != 8) return false;
  request.keep = content[2] == 1;
  while (read_record(app, type, content) && type == 4) {
    if (content.empty()) return true;
    request.params += content;
  }
  return false;
}
inline bool read_request(AppSide& app, ReceivedRequest& request) {
  if (!read_begin(app, request)) return false;
  int type = 0;
  std::string content;
  while (!request.whole && read_record(app, type, content) && type == 5) {
    request.body += content;
    request.whole = content.empty();
    ++request.records;
  }
  return request.whole;
}

class CgiCallRig : public CallRig {
 protected:
  using Caller = net::Task<CallResult> (*)(Call, process::StringBlock);
  using Change = std::function<void(Call&)>;

  // The application before it, if there was one, loses its connections and ends.
  void serve(std::function<void(AppSide&)> script, ConnectionLimits limits = {}) {
    home_.reset();
    CallRig::serve(std::move(script), limits);
  }
  void stop_application() {
    home_.reset();
    application_->stop();
  }

  net::Task<void> call_once(Caller caller, Change change, Outcome& out, bool read_body) {
    auto call = co_await prepare();
    if (!call) {
      out.failure.emplace(CallFailure{.error = std::move(call.error())});
      co_return;
    }
    if (change) change(*call);
    process::StringBlock environment;
    environment.add("SCRIPT_NAME", "/x");
    auto answer = co_await caller(std::move(*call), std::move(environment));
    out.idle_at_answer = home_->idle();
    if (!answer) {
      out.failure.emplace(std::move(answer.error()));
      co_return;
    }
    out.status = answer->status;
    out.reason = answer->reason;
    out.fields = answer->headers.wire();
    out.send_file = answer->send_file;
    target_ = answer->local_target;
    redirects_ = answer->client_redirect_without_document;
    out.whole = answer->body.as_stream() == nullptr;
    out.length = answer->body.length();
    while (read_body) {
      auto chunk = co_await answer->body.next();
      if (!chunk) {
        out.broken = std::move(chunk.error());
        break;
      }
      if (chunk->empty()) break;
      out.body += *chunk;
      out.chunks.emplace_back(*chunk);
    }
  }
  Outcome call(Caller caller, Change change = {}, bool read_body = true) {
    Outcome out;
    run(call_once(caller, std::move(change), out, read_body));
    return out;
  }
  static void with_body(Call& call, exchange::Body body, std::optional<std::uint64_t> length) {
    call.method = http::Method::post;
    call.has_body = true;
    call.body = std::move(body);
    call.body_length = length;
  }
  // Until what goes on behind an answer has ended.
  net::Task<void> settle() {
    while (world_.background.size() > 0) co_await net::sleep_until(loop_, loop_.now() + 1ms);
  }

  std::string target_;
  bool redirects_ = false;
};

inline const std::string kHello = stdout_record("Content-Type: text/plain\r\n\r\nhello") + end_record();

class FastcgiRig : public CgiCallRig {
 protected:
  // An application that reads each request whole, then sends `response`.
  void answer(std::string response, ConnectionLimits limits = {}) {
    serve(
        [this, response](AppSide& app) {
          for (ReceivedRequest request; read_request(app, request); request = {}) {
            seen_ = request;
            if (!app.send(response)) return;
          }
        },
        limits);
  }
  ReceivedRequest seen_;  // the last one; to be looked at when the application has stopped
};

}  // namespace fivefold::upstream
