#pragma once
// What an upgraded connection becomes: bytes both ways that the server does not look into.
#include <chrono>
#include <string_view>

#include "base/error.h"
#include "net/task.h"

namespace fivefold::exchange {

// The program's end of it. One owner, the session; letting go of it closes the program's side. next() and send() run
// beside each other, each awaited by one coroutine.
class Tunnel {
 public:
  virtual ~Tunnel() = default;
  // What the program has sent: valid until the next call. Empty: it has ended its side; the other direction goes on.
  virtual net::Task<Result<std::string_view>> next() = 0;
  // Returns when the program's side has taken all of it: a client cannot send faster than the program reads.
  virtual net::Task<Result<void>> send(std::string_view bytes) = 0;
  // The client has ended its side. Once, after the last send().
  virtual void finish_sending() = 0;
  // Nothing in either direction for this long ends the tunnel.
  virtual std::chrono::milliseconds idle_timeout() const = 0;
};

}  // namespace fivefold::exchange
