#pragma once
// A response onto the wire: head and body together where they fit, sendfile for files, chunk by chunk for what is still
// being made.
#include <sys/uio.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "exchange/exchange.h"
#include "net/blocking.h"
#include "net/stream.h"

namespace fivefold::serve {

class ResponseWriter {
 public:
  struct Limits {
    std::chrono::milliseconds silence{30000};  // a client that takes nothing: Code::timed_out
    std::uint64_t min_rate = 0;  // bytes/s on average, of the time spent waiting for the client beyond `grace`
    std::chrono::milliseconds grace{10000};
  };
  ResponseWriter(net::Stream& stream, net::BlockingPool& blocking, Limits limits)
      : stream_(stream), blocking_(blocking), limits_(limits) {}

  // Head and in-memory body in one system call. True when all of it has left; otherwise finish with send_rest().
  Result<bool> try_send(std::string_view head, std::string_view body);
  net::Task<Result<void>> send_rest(std::string_view head, std::string_view body);

  net::Task<Result<void>> send_file(std::string_view head, exchange::FileSegment segment);

  // Pulls the body to its end. `chunked` frames it; otherwise it goes as it is, and a source that ends early, or has
  // more to say than `length`, is an error. A failing source is Code::program_failed or its own: the connection must be
  // reset then. `trailers`: the source's trailer fields go out behind the last chunk. `stop` is requested when the
  // client leaves while the source is waited for; Code::closed then.
  struct Streaming {
    bool chunked = false;
    bool trailers = false;
    std::optional<std::uint64_t> length = {};
  };
  net::Task<Result<void>> send_stream(std::string_view head, exchange::Body& body, Streaming how,
                                      net::StopSource& stop);

  std::uint64_t sent() const { return sent_; }  // bytes of all kinds that the kernel took

 private:
  // Up to four pieces that leave together.
  struct Parts {
    std::array<iovec, 4> items{};
    std::size_t first = 0, count = 0;
    void add(std::string_view bytes);
    void consume(std::size_t bytes);
    bool done() const { return first == count; }
    std::span<const iovec> rest() const { return std::span(items).subspan(first, count - first); }
  };
  net::Task<Result<void>> send_parts(Parts parts, bool more);
  net::Task<Result<void>> wait_writable();
  net::Stream& stream_;
  net::BlockingPool& blocking_;
  Limits limits_;
  std::uint64_t sent_ = 0;
  std::chrono::nanoseconds waited_{0};
};

}  // namespace fivefold::serve
