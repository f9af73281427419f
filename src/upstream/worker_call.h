#pragma once
// One request to a worker over its channel: what goes in and what comes back. What call_fastcgi is to an application.
//
//     WorkerCall{channel, request} --call_worker--> Answer | WorkerFailure
//
// A worker is leased until it says that it takes the next request, whoever reads its answer how slowly: up to `buffer`
// bytes are taken from it ahead of the client. A client that leaves has the worker told so; what it still sends is
// dropped.
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>

#include "exchange/exchange.h"
#include "process/spawn_plan.h"
#include "upstream/call.h"
#include "upstream/worker_channel.h"

namespace fivefold::upstream {

// Holds the lease for as long as the worker is busy, which may be longer than its client waits. Destroyed on the loop
// when the worker takes the next request, or never will.
class WorkerOwner {
 public:
  virtual ~WorkerOwner() = default;
  // The request has been sent, or what of it goes at once.
  virtual void sent() {}
  // The worker has gone, or its channel has: a request may have been on it, another one cannot be.
  virtual void died(const Error& error) = 0;
  // The answer broke after its head had been returned: the worker died, sent nonsense, ran into its time.
  virtual void broke(const Error& error) = 0;
  // A part of a line for the program's log; `ends` with its last one. `severity` is one of syslog(3).
  virtual void log(int severity, std::string_view text, bool ends) = 0;
  // From here on the lease may last longer than the request.
  virtual void outlives_request() = 0;
  // The worker ends by itself after this request.
  virtual void leaves() = 0;
  // It did not end its request in time, or is not to be trusted: it is to be killed.
  virtual void kill(std::string reason) = 0;
};

struct WorkerCall {
  WorkerChannel& channel;  // outlives the owner; its stream is open
  std::unique_ptr<WorkerOwner> owner;
  exchange::Exchange& exchange;  // for interim responses; outlives the call, not the body
  http::Method method = http::Method::get;
  exchange::Body body;                       // sent with the request where it lies in memory, else when asked for
  std::optional<std::uint64_t> body_length;  // nothing: unknown (chunked)
  // The interpreter is told to stop the script at `soft`; the worker is killed at `hard`.
  net::TimePoint soft = net::kNever;
  net::TimePoint hard = net::kNever;
  std::size_t head_limit = 32768;    // of the response
  bool cgi_redirects = false;        // a Location without another status redirects, as in CGI (RFC 3875 section 6.2)
  std::size_t buffer = 1024 * 1024;  // of the response's body, ahead of the client
};

struct WorkerFailure {
  // program_failed, program_timeout; Code::internal with the worker's own words for what it could not answer; or the
  // request body's own.
  Error error;
  bool unread = false;       // the worker was gone before it had read the request: another one may have it
  exchange::Body body = {};  // given back with `unread`, when it has not been touched
  bool body_touched = false;
};

using WorkerResult = std::expected<Answer, WorkerFailure>;

// `variables` is a CGI environment (gateway::CgiEnvironment).
net::Task<WorkerResult> call_worker(WorkerCall call, process::StringBlock variables);

}  // namespace fivefold::upstream
