#pragma once
// One request to an application over one connection, whatever the protocol: what goes in and what comes back.
//
//     Call{connection, request} --call_http / call_fastcgi / call_scgi / call_uwsgi / h2c--> Answer | CallFailure
//
// The request's body is sent while the response is awaited and read, so that neither waits for the other.
#include <chrono>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "exchange/exchange.h"
#include "exchange/tunnel.h"
#include "http/headers.h"
#include "process/spawn_plan.h"
#include "upstream/connections.h"

namespace fivefold::upstream {

struct CallTimeouts {
  milliseconds first_byte{60'000};  // to the response's head; runs from the last byte of the request that was sent
  milliseconds idle{60'000};        // silence within the response after that
  milliseconds send{60'000};        // an application that takes no byte of the request
  milliseconds tunnel{3'600'000};   // an upgraded connection without a byte either way
  net::TimePoint deadline = net::kNever;  // of the whole request, a tunnel excepted; then Code::program_timeout
};

// Holds what a call needs for as long as it lasts (a lease); destroyed on the loop when the response's body, or the
// tunnel, has ended or is let go of.
class CallOwner {
 public:
  virtual ~CallOwner() = default;
  // The exchange broke after its head had been returned: the application died, sent nonsense or fell silent.
  virtual void broke(const Error& error) = 0;
  // Bytes that the program wrote to its error stream (FastCGI).
  virtual void error_output(std::string_view bytes) = 0;
  // The call goes on although its request is over: from now on nothing of the request may be looked at.
  virtual void outlives_request() {}
};

// What HTTP sends. CGI-like protocols send `environment` instead.
struct OutgoingHead {
  std::string_view method;
  std::string target;        // origin form, raw: path and query
  http::Headers fields;      // all of them, Host first; without framing and hop-by-hop fields, which are the client's
  std::string upgrade = {};  // the Upgrade value to be asked for; empty: none
};

struct Call {
  std::unique_ptr<Connection> connection;
  Connections& home;  // where the connection is given back
  std::unique_ptr<CallOwner> owner;
  exchange::Exchange& exchange;  // for interim responses; outlives the call
  http::Method method = http::Method::get;
  exchange::Body body;                       // pulled
  std::optional<std::uint64_t> body_length;  // nothing: unknown (chunked)
  bool has_body = false;
  CallTimeouts timeouts;
  std::size_t head_limit = 32768;  // of the response
};

struct Answer {
  int status = 200;
  std::string reason = {};
  http::Headers headers;  // end-to-end fields alone, every byte checked
  exchange::Body body;
  std::unique_ptr<exchange::Tunnel> tunnel;  // with status 101
  // What the server does instead of sending the answer (gateway/cgi_response.h), for the caller to allow or drop.
  std::string local_target;  // of a CGI local redirect
  std::string send_file;     // X-Sendfile or X-Accel-Redirect
  bool client_redirect_without_document = false;
};

struct CallFailure {
  Error error;  // program_failed, program_unavailable, program_timeout, or the client's own (closed, request_timeout,
                // ...)
  bool came_to_nothing = false;  // not a byte of a response had come when the connection ended
  // Nothing came, and the connection was reset, or the HTTP/2 stream refused: some of the request was never read by
  // whoever was to answer it (a socket that is closed with bytes unread, or before it was accepted, resets). Tells
  // nothing of what lies behind a proxy.
  bool unread = false;
  bool unsent = false;        // unread because there was no connection (HTTP/2, which opens its own)
  bool declined = false;      // unread whoever is behind: HTTP/2 says so for one stream (RFC 9113 section 8.7)
  bool body_touched = false;  // some of the request's body has been pulled: the request cannot be sent again
  // The connection had served before and has ended: it may just have reached the end of its life.
  bool reused = false;
  std::unique_ptr<CallOwner> owner = {};  // given back
  exchange::Body body = {};               // given back too, unless it has been touched
};

using CallResult = std::expected<Answer, CallFailure>;

// A response that has come whole with its head is returned as bytes, and the connection is already back home.
net::Task<CallResult> call_http(Call call, OutgoingHead head);
net::Task<CallResult> call_fastcgi(Call call, process::StringBlock environment);
// `environment` has CONTENT_LENGTH; the body's length must be known.
net::Task<CallResult> call_scgi(Call call, process::StringBlock environment);
net::Task<CallResult> call_uwsgi(Call call, process::StringBlock environment);

}  // namespace fivefold::upstream
