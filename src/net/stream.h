#pragma once
// A connected socket, in clear or in TLS, a pipe, anything that reads and writes bytes without blocking; with a read
// buffer of its own.
#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/error.h"
#include "base/unique_fd.h"
#include "net/loop.h"

namespace fivefold::net {

namespace detail {
struct Descriptor;  // Asio's part, kept alive by operations under way
class TlsConnection;
struct TlsStart;
}  // namespace detail

// Reading: fill() appends what arrives to the buffer; look at buffered(), then consume(). Views into buffered() stay
// valid until the bytes are consumed *and* the next fill(), but for a pinned front (see pin()). Writing: write_some()
// takes what the kernel takes now; co_await writable() when it takes nothing. One fill() and one writable() may be
// awaited at a time. Awaiting coroutines may be destroyed at any time: a read under way goes on into the buffer and the
// next fill() takes it up. Everything happens on the loop's thread.
//
// A stream speaks TLS after TlsClient::start, and everything here keeps its meaning; but what write_some() has not
// taken must be offered again, first and unchanged, if anything is to be written at all. A TLS stream that is destroyed
// without shutdown_write() has been cut off, in the eyes of the other side. RFC 8446 section 6.1.
class Stream {
 public:
  // `fd` is made non-blocking. The buffer begins at `initial` bytes and grows to `maximum`.
  Stream(Loop& loop, UniqueFd fd, std::size_t initial = 1024, std::size_t maximum = 65536);
  ~Stream();  // closes
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  Loop& loop() { return loop_; }
  int fd() const;

  // ---- reading ----
  std::string_view buffered() const { return {data_.get() + begin_, end_ - begin_}; }
  void consume(std::size_t bytes) { begin_ += bytes; }
  // Room for more without dropping anything: false means buffered() is `maximum` long.
  bool can_grow() const { return end_ - begin_ < maximum_; }
  // The first `bytes` of buffered() are consumed but stay in place, views intact, until unpin(): a request's head
  // during its exchange.
  void pin(std::size_t bytes);
  void unpin();
  // What has been read behind the pinned front goes on in a small buffer of its own, which grows and shrinks as one
  // without a pin does; the front stays where it is until unpin(). False while a read is under way: not yet.
  bool part_from_pinned();

  // Waits for at least one more byte. The number that came; 0 at the end of the stream; Code::timed_out at the
  // deadline; Code::closed on a reset, and at the end of a TLS stream that the other side did not announce. With a full
  // buffer: Code::header_too_large.
  class [[nodiscard]] Fill;
  Fill fill(TimePoint deadline = kNever);

  // Ends a fill() that is being awaited, as if its deadline had come. At the top of the loop only.
  void interrupt() { read_timer_fired(this); }

  // A read goes on in the background while nobody awaits fill(); `stop` is requested when the peer closes or resets.
  // Bytes that arrive are kept for the next fill(). Ends by itself at the next fill() or with unwatch(). A close that
  // has been seen before is told too, at the top of the loop. It begins `after` a while: what is over sooner has not
  // asked the kernel for what was not there.
  void watch_close(StopSource& stop, std::chrono::milliseconds after = std::chrono::milliseconds{0});
  void unwatch();

  // Gives a small unused buffer back (an idle connection keeps `initial` bytes).
  void shrink();
  // For bytes that are passed on as they come, when all of them have been consumed: four times the room for the next
  // read if the last one filled it, `initial` bytes if it did not.
  void adapt();

  // ---- writing ----
  // Bytes the kernel took, 0 when it takes none now; Code::closed when the peer is gone. Uses sendmsg(MSG_NOSIGNAL) on
  // sockets.
  Result<std::size_t> write_some(std::span<const iovec> parts, bool more = false);
  // sendfile(2), or with TLS a copy. `offset` advances. 0 bytes: would block. At the end of the file early:
  // Code::internal.
  Result<std::size_t> send_file_some(int file, std::uint64_t& offset, std::uint64_t length);
  class [[nodiscard]] Writable;
  Writable writable(TimePoint deadline = kNever);
  // Writes all of it, waiting up to `silence` each time the peer takes nothing.
  Task<Result<void>> write_all(std::string_view bytes, std::chrono::milliseconds silence, bool more = false);

  // The end of what is written here; reading goes on. With TLS: close_notify first, which waits in the background for
  // room in the kernel.
  void shutdown_write();
  // Makes the close a reset (SO_LINGER 0): the peer sees that something was cut short.
  void set_reset_on_close();

 private:
  friend class Fill;
  friend class Writable;
  friend struct detail::Descriptor;
  friend struct detail::TlsStart;
  void read_soon();
  void start_read();
  void read_done(int error_number, std::size_t bytes);  // from Asio, at the top of the loop
  void write_ready(int error_number);
  void wait_writable();
  void tls_read();
  std::unexpected<Error> read_failure() const;
  static void read_timer_fired(void* self);
  static void write_timer_fired(void* self);
  bool read_on();
  void look_for_hangup();
  bool make_room();

  Loop& loop_;
  detail::Descriptor* descriptor_;  // counted; an operation under way holds it too
  std::unique_ptr<detail::TlsConnection> tls_;
  std::unique_ptr<char[]> data_;
  std::unique_ptr<char[]> pinned_;  // the buffer that holds a pinned head, when reading has moved on to another
  std::uint32_t capacity_;
  std::uint32_t begin_ = 0;
  std::uint32_t end_ = 0;
  std::uint32_t pin_ = 0;  // bytes at the front of data_ that may not move
  std::uint32_t initial_;
  std::uint32_t maximum_;
  bool socket_ = true;
  bool reading_ = false;  // an operation is under way
  bool waiting_writable_ = false;
  bool at_end_ = false;
  bool filled_ = false;      // the last read took all the room there was
  int read_error_ = 0;       // a result nobody has taken yet
  std::uint32_t fresh_ = 0;  // bytes that came while nobody awaited
  Fill* filler_ = nullptr;
  Writable* writer_ = nullptr;
  StopSource* watcher_ = nullptr;
  Timer read_timer_;
  Timer write_timer_;
};

class [[nodiscard]] Stream::Fill {
 public:
  Fill(Stream& stream, TimePoint deadline) : stream_(stream), deadline_(deadline) {}
  Fill(const Fill&) = delete;
  ~Fill();
  bool await_ready();
  void await_suspend(std::coroutine_handle<> awaiting);
  Result<std::size_t> await_resume();

 private:
  friend class Stream;
  Stream& stream_;
  TimePoint deadline_;
  std::coroutine_handle<> awaiting_;
  bool timed_out_ = false;
  bool full_ = false;
};

class [[nodiscard]] Stream::Writable {
 public:
  Writable(Stream& stream, TimePoint deadline) : stream_(stream), deadline_(deadline) {}
  Writable(const Writable&) = delete;
  ~Writable();
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> awaiting);
  Result<void> await_resume();

 private:
  friend class Stream;
  Stream& stream_;
  TimePoint deadline_;
  std::coroutine_handle<> awaiting_;
  bool timed_out_ = false;
  int error_ = 0;
};

inline Stream::Fill Stream::fill(TimePoint deadline) { return Fill(*this, deadline); }
inline Stream::Writable Stream::writable(TimePoint deadline) { return Writable(*this, deadline); }

}  // namespace fivefold::net
