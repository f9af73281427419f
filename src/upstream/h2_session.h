#pragma once
// One connection to an application in HTTP/2, begun in clear text with prior knowledge (RFC 9113 section 3.3): frames
// in and out for the streams on it.
#include <nghttp2/nghttp2.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "upstream/connections.h"
#include "upstream/wakeup.h"

namespace fivefold::upstream {

struct H2Limits {
  std::uint32_t stream_window = 131'072;  // bytes of a response that may come before they are asked for
  std::uint32_t most_streams = 100;       // at once; fewer if the application says so
  milliseconds send{60'000};              // an application that takes no byte on the connection
};

// What happens on one stream. Called while frames are read or written: it takes note and wakes whoever waits, and calls
// nothing of the session.
class H2StreamEvents {
 public:
  virtual void block_began() = 0;                                         // of a head, interim or final, or of trailers
  virtual bool field(std::string_view name, std::string_view value) = 0;  // false: the stream is refused
  virtual void block_ended() = 0;
  virtual void data(std::string_view bytes) = 0;
  virtual void ended() = 0;  // the response is whole
  // Up to `size` bytes of the request's body; 0 and not `end`: there is none at the moment (resume_body()).
  virtual std::size_t read_body(char* into, std::size_t size, bool& end) = 0;
  virtual void closed(std::uint32_t error_code) = 0;  // by either side; the last call
  virtual void lost(const Error& error) = 0;          // with the connection; the last call

 protected:
  ~H2StreamEvents() = default;
};

// Belongs to its loop; shared by the streams on it and whoever hands it out.
class H2Session {
 public:
  // A new connection whose application has answered in HTTP/2. `retired` is called at the top of the loop when the
  // session takes no more streams; it may let go of it. Code::program_unavailable or Code::timed_out when nobody
  // answers, Code::program_failed when not in HTTP/2.
  static net::Task<Result<std::shared_ptr<H2Session>>> open(Connections& home, H2Limits limits,
                                                            std::function<void(const H2Session*)> retired);
  ~H2Session();
  H2Session(const H2Session&) = delete;
  H2Session& operator=(const H2Session&) = delete;

  bool takes_streams() const;  // no GOAWAY, not lost, ids left
  std::size_t room() const;    // streams that may be begun now
  bool used() const { return submitted_ > 0; }
  net::TimePoint last_heard() const { return last_heard_; }
  // No more streams: those there are go on. For a connection that has fallen silent.
  void retire();

  // Begins a stream; its frames leave with the next flush(). `events` outlives it, or calls let_go(). Its id.
  Result<std::int32_t> submit(std::span<const nghttp2_nv> fields, bool has_body, H2StreamEvents& events);
  void resume_body(std::int32_t stream);
  // Takes note that `bytes` of the response have been used up: as many more may come.
  void consumed(std::int32_t stream, std::size_t bytes);
  // The stream is not wanted any more: its events are not called again, and the application is told if it goes on.
  void let_go(std::int32_t stream, H2StreamEvents& events);
  void flush();

 private:
  H2Session(std::unique_ptr<Connection> connection, Connections& home, H2Limits limits,
            std::function<void(const H2Session*)> retired);
  struct Callbacks;
  void start();
  net::Task<void> read();
  net::Task<void> write();
  bool write_now();
  void lose(Error error);
  void tell_retired();

  std::unique_ptr<Connection> connection_;
  net::Loop& loop_;
  std::string peer_;
  H2Limits limits_;
  milliseconds connect_timeout_;
  std::function<void(const H2Session*)> retired_;
  nghttp2_session* session_ = nullptr;
  std::string out_;
  std::size_t out_sent_ = 0;
  std::vector<H2StreamEvents*> streams_;  // all that are under way
  std::uint64_t submitted_ = 0;
  net::TimePoint last_heard_{};
  bool settled_ = false;  // the application's SETTINGS have come
  bool closing_ = false;  // GOAWAY, or retire()
  bool writing_ = false;
  bool told_ = false;
  std::optional<Error> lost_;
  bool write_dead_ = false;
  std::shared_ptr<H2Session*> self_;  // for what is posted
  Wakeup on_settled_;
  net::Running writer_;
  net::Running reader_;  // last: they use all of the above
};

}  // namespace fivefold::upstream
