#pragma once
// An upgraded connection: bytes both ways at once between a client and a program, until both have ended.
#include <chrono>
#include <cstdint>

#include "base/error.h"
#include "exchange/tunnel.h"
#include "net/loop.h"
#include "net/stream.h"
#include "serve/http_server.h"

namespace fivefold::serve {

// Each direction holds one buffer's worth of bytes and asks for more when they have left, so that neither side can send
// faster than the other reads. Lives in the coroutine that runs it; everything referred to outlives it.
class TunnelPump {
 public:
  // A program that has ended its side while its client keeps silent: the tunnel is over after this.
  static constexpr std::chrono::milliseconds kAfterProgramEnd{30'000};
  // What a program has still to say when it takes no more, and what a client has still to take when the program is
  // gone: waited for.
  static constexpr std::chrono::milliseconds kLastWords{5'000};

  // A client that takes nothing of what waits for it for `send_timeout` ends the tunnel.
  TunnelPump(net::Stream& client, exchange::Tunnel& tunnel, std::chrono::milliseconds send_timeout, Counters& counters);

  enum class Reason : std::uint8_t { ended, idle, client_left, client_stalled, program_left, program_broke };
  struct End {
    Reason reason = Reason::ended;
    Error error = {};          // but for `ended`
    bool client_ended = true;  // its side had been ended too
  };
  // What the stream has buffered is the tunnel's first. Once.
  net::Task<End> run();
  // Before the client is reset because of its program: a reset must not overtake what the program had said.
  net::Task<void> let_client_take_the_rest();

  std::uint64_t sent() const { return sent_; }  // to the client

 private:
  net::Task<void> to_program();
  net::Task<void> to_client();
  net::Task<void> pass_to_program();
  net::Task<void> pass_to_client();
  void finish(Reason reason, Error error = {});
  void moved() { last_move_ = client_.loop().now(); }
  net::TimePoint deadline() const;
  static void look_at_clock(void* self);

  net::Stream& client_;
  exchange::Tunnel& tunnel_;
  std::chrono::milliseconds send_timeout_;
  std::chrono::milliseconds idle_timeout_;
  Counters& counters_;
  std::uint64_t sent_ = 0;
  net::TimePoint last_move_;
  bool client_ended_ = false;
  bool program_ended_ = false;
  bool program_deaf_ = false;  // it takes nothing any more
  bool finished_ = false;
  End end_;
  net::Event over_;
  net::Timer clock_;
  net::Running up_;  // the two directions; they end before what is above
  net::Running down_;
};

}  // namespace fivefold::serve
