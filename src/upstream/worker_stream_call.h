#pragma once
// One request to a worker that takes several at once: what call_worker() is for one that takes one at a time.
#include <memory>
#include <optional>

#include "upstream/worker_call.h"
#include "upstream/worker_streams.h"

namespace fivefold::upstream {

struct StreamCall {
  std::shared_ptr<WorkerStreams> streams;  // open
  std::unique_ptr<WorkerOwner> owner;
  exchange::Exchange& exchange;  // for interim responses; outlives the call, not the body
  http::Method method = http::Method::get;
  exchange::Body body;                       // sent with the request where it lies in memory, else when asked for
  std::optional<std::uint64_t> body_length;  // nothing: unknown (chunked)
  // The worker is told to end the request at `soft`, and is killed at `hard`. Neither counts for a tunnel.
  net::TimePoint soft = net::kNever;
  net::TimePoint hard = net::kNever;
  std::size_t head_limit = 32768;  // of the response
  bool upgrade = false;            // a WebSocket handshake, which the worker may take: Answer::tunnel
  std::chrono::milliseconds tunnel_timeout{3'600'000};  // without a byte either way
};

// `variables` is a CGI environment (gateway::CgiEnvironment). The response's body, and a tunnel, are held in windows
// (worker::kFirstWindow): a client that reads slowly stops its own request alone. Of a failure with `unread` it is
// certain that the worker has not seen the request.
net::Task<WorkerResult> call_worker_stream(StreamCall call, process::StringBlock variables);

}  // namespace fivefold::upstream
