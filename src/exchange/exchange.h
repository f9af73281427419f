#pragma once
// One request and its response: the values, and the contract that every model and filter meets.
//
//     Request --> Filter --> Filter --> Handler --> Response
//
// A handler gets a request and returns a response; the server does the rest: HEAD, framing, errors, logging.
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "exchange/body.h"
#include "exchange/tunnel.h"
#include "http/head.h"
#include "http/headers.h"
#include "net/blocking.h"
#include "net/loop.h"
#include "net/task.h"

namespace fivefold::process {
class Spawner;  // process/child.h
}

namespace fivefold::exchange {

// Who is asking and where it came in. Texts live as long as the connection (or the exchange, for a forwarded client).
struct Peer {
  std::string
      address;  // "192.0.2.7", "2001:db8::1", or "unix:"; of the client, after trusted Forwarded / PROXY headers
  std::uint16_t port = 0;
  std::string local_address;  // where the connection was accepted
  std::uint16_t local_port = 0;
  bool secure = false;  // the client speaks TLS (to us, or to a trusted proxy that says so)
  // The host, with its port if it has one, that the client asked a trusted proxy for; empty when no proxy says so: then
  // it is the request's own.
  std::string forwarded_host = {};
};

struct Request {
  const http::Head& head;  // lives until the exchange ends
  std::string_view path;   // the normalised, decoded path that was routed on; lives until the exchange ends
  exchange::Body body;     // pulled; "100 Continue" goes out when it is first asked for
  const Peer& peer;
  net::TimePoint deadline = net::kNever;
};

struct Response {
  int status = 200;
  std::string reason = {};  // empty: the registered phrase
  http::Headers headers = {};
  exchange::Body body = {};
  // With status 101 alone: what the connection is from here on. `headers` name the protocol (Upgrade).
  std::unique_ptr<Tunnel> tunnel = {};
};

// The loop-bound world that handlers live in; one per loop, outlives every exchange on it.
struct World {
  net::Loop& loop;
  net::BlockingPool& blocking;
  process::Spawner& spawner;
  // What goes on after its exchange has ended (a program that finishes its work without its client); ends with the
  // loop.
  net::TaskGroup background = {};
};

// The id that log lines, the program's environment and the error page share: 16 random bytes, as hex also a W3C trace
// id.
struct RequestId {
  std::array<char, 32> hex{};
  std::string_view text() const { return {hex.data(), hex.size()}; }
};

class Handler;

// What surrounds one request while it is handled. Owned by the session; outlives the response's body.
class Exchange {
 public:
  Exchange(World& world) : world(world) {}
  World& world;
  RequestId id;
  // The part of the path that the route's pattern matched literally ("/cgi-bin/" of "/cgi-bin/*"; all of it for an
  // exact pattern; "/" for "*.php") and the rest after it. prefix + rest == path; a program's SCRIPT_NAME begins with
  // the prefix.
  std::string_view route_prefix;
  std::string_view route_rest;
  // Set by whoever authenticated the client.
  std::string user;
  std::string auth_type;
  // Filled in for logs and error pages.
  std::string program;            // name of the program that answered
  std::string failure_page_html;  // a journey or other detail for the error page, escaped HTML; shown only where
                                  // error_detail = "page"
  std::string failure_log;        // the same for the log, several lines

  // After a local redirect: the raw path and query that the client had asked for (REDIRECT_URL, REDIRECT_QUERY_STRING).
  std::string redirected_path;
  std::string redirected_query;
  // How often a local redirect (RFC 3875 section 6.2.2) has started over; more than 10 is an error.
  int redirects = 0;

  // Runs a request for another path of this site through the whole mapping again (routes, filters, handlers), as a GET
  // without a body. `target` is a raw path with optional query; it must live until the exchange ends.
  virtual net::Task<Result<Response>> redirect_locally(std::string target) = 0;

  // Sends an interim response (RFC 9110 section 15.2), such as 103 Early Hints, now. Not 101, and 100 is the body's own
  // business. Left out where the client cannot take it (HTTP/1.0) or takes nothing at the moment. Only before the
  // handler has returned, and one at a time.
  virtual net::Task<void> send_interim(int status, http::Headers headers);

 protected:
  ~Exchange() = default;
};

// Files, CGI, module, app, function alike. One object serves all loops at once: it is immutable but for what it guards
// itself.
class Handler {
 public:
  virtual ~Handler() = default;
  virtual net::Task<Result<Response>> handle(Request request, Exchange& exchange) = 0;
  // One line for `status`, and more for metrics, come through control/; see models' own headers.
};

// Wraps a handler: headers, compression, limits, authorisation. `next` outlives the call.
class Filter {
 public:
  virtual ~Filter() = default;
  virtual net::Task<Result<Response>> around(Request request, Exchange& exchange, Handler& next) = 0;
};

}  // namespace fivefold::exchange
