#pragma once
// Requests to an application in HTTP/2 in clear text: many at once over one connection.
#include <list>
#include <memory>

#include "upstream/call.h"
#include "upstream/h2_session.h"

namespace fivefold::upstream {

// The connection from one loop to one endpoint: opened when needed, and again after the application has ended it.
// Belongs to its loop and outlives the calls that use it, as `home` does, which opens the sockets.
class H2Connection {
 public:
  explicit H2Connection(Connections& home, H2Limits limits = {});
  ~H2Connection();
  Connections& home() { return home_; }
  // Closes it as soon as no request is on it. For an instance that is on its way out.
  void close_idle();

  // For call_h2c(): a session with room for one more stream, waited for up to `until` when there is none, then
  // Code::program_timeout. Whoever is done with a stream says so with stream_ended().
  net::Task<Result<std::shared_ptr<H2Session>>> session(net::TimePoint until);
  void stream_ended();

 private:
  struct State;
  Connections& home_;
  H2Limits limits_;
  std::shared_ptr<State> state_;
};

// As call_http(), over a stream of `connection`: call.connection stays null. A stream that the application refused, or
// had not seen when it said goodbye, came to nothing; body_touched says whether it can be sent again. `upgrade` is
// Code::not_implemented. Fields of the response are in lower case, as HTTP/2 sends them.
net::Task<CallResult> call_h2c(H2Connection& connection, Call call, OutgoingHead head);

}  // namespace fivefold::upstream
