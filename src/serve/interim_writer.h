#pragma once
// Interim responses (RFC 9110 section 15.2) in front of the final one: each leaves whole and in order, and none after
// the final response has begun, whoever sends them and whenever.
#include <chrono>
#include <string>
#include <string_view>

#include "net/stream.h"

namespace fivefold::serve {

// Of one exchange; writes to `stream`, which outlives it and which nobody else writes to before close().
class InterimWriter {
 public:
  // A client that takes nothing for `silence` gets no more of it here; the final response finds that out anew.
  InterimWriter(net::Stream& stream, std::chrono::milliseconds silence) : stream_(stream), silence_(silence) {}
  InterimWriter(const InterimWriter&) = delete;
  InterimWriter& operator=(const InterimWriter&) = delete;

  // "100 Continue", which the client waits for: kept until the client takes it.
  void must_send(std::string_view head);
  // The others: left out when the client takes nothing now.
  void may_send(std::string_view head);
  // The final response begins. What is left of a head that has begun to leave: it goes first. Nothing is sent from here
  // on.
  std::string close();

 private:
  void write_now();
  net::Task<void> write_later();
  net::Stream& stream_;
  std::chrono::milliseconds silence_;
  std::string unsent_;
  bool open_ = true;
  net::Running later_;
};

}  // namespace fivefold::serve
