#pragma once
// The TLS inside a Stream, at either end of a connection. OpenSSL's part; it never waits.
#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/error.h"
#include "net/stream.h"

struct ssl_st;
struct bio_st;

namespace fivefold::net::detail {

// Encrypts into a buffer of its own and gives that to the kernel, so that OpenSSL never stands in the middle of a
// record; decrypts straight into the stream's buffer. Bytes count as written once the kernel has all of their records:
// closing a stream loses nothing that was reported, and nobody need flush. Therefore bytes that write() has not taken
// must be offered again, first and unchanged, if anything is written at all.
class TlsConnection {
 public:
  // Takes `ssl`, set to connect or to accept, over the connected socket `fd`, which stays the Stream's.
  TlsConnection(ssl_st* ssl, int fd);
  ~TlsConnection();
  TlsConnection(const TlsConnection&) = delete;

  enum class Wants { nothing, read, write };
  // A step of the handshake, and what it waits for; nothing: it is over. Code::closed with OpenSSL's words.
  Result<Wants> shake_hands();
  ssl_st* ssl() const { return ssl_; }

  struct Received {
    enum class Kind { bytes, would_block, end, failed } kind;
    std::size_t bytes = 0;
  };
  // As much as has come and fits.
  Received read(char* into, std::size_t room);
  const Error& read_failure() const { return *read_failure_; }

  // As Stream::write_some and Stream::send_file_some.
  Result<std::size_t> write(std::span<const iovec> parts);
  Result<std::size_t> send_file(int file, std::uint64_t& offset, std::uint64_t length);
  // close_notify and then the end of the TCP stream, once all before it has been sent.
  void finish();

  // Gives the kernel what is left; true when nothing is.
  bool flush();
  bool has_unsent() const { return sent_ < unsent_.size(); }

 private:
  struct Bio;
  bool encrypt(const char* bytes, std::size_t size);
  Result<std::size_t> begin_write();
  std::unexpected<Error> broken(const char* what) const;

  ssl_st* ssl_;
  int fd_;
  std::string unsent_;  // ciphertext, from sent_ on
  std::size_t sent_ = 0;
  std::size_t unreported_ = 0;  // plain bytes that are in unsent_ and have not been reported as written
  std::optional<Error> read_failure_;
  int read_error_ = 0;   // of the socket
  int write_error_ = 0;  // of the socket; what is written after it goes nowhere
  bool ended_ = false;   // by close_notify
  bool cut_ = false;     // the TCP stream has ended
  bool broken_ = false;  // OpenSSL must not be called for more than the reason
  bool finishing_ = false;
};

// Lets a connected stream speak TLS once the hands are shaken. The stream has not been read from or written to since it
// was connected or accepted. Code::timed_out at the deadline; on a failure the stream is of no more use. The stream
// takes `tls` when it succeeds; after a failure it can be asked for the reason. Both outlive the task.
struct TlsStart {
  static Task<Result<void>> run(Stream& stream, std::unique_ptr<TlsConnection>& tls, TimePoint deadline);
};

}  // namespace fivefold::net::detail
