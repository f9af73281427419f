#include "net/tls_connection.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "net/readiness.h"
#include "net/transport_error.h"

namespace fivefold::net::detail {
namespace {

constexpr std::size_t kRecord = 16384;                       // the most plain bytes of one record, RFC 8446 section 5.1
constexpr std::size_t kBatch = 4 * kRecord;                  // ciphertext for one system call
constexpr std::size_t kMostPerCall = 4 * kBatch;             // then other work of the loop has its turn
constexpr std::size_t kKeptBuffer = 4096;                    // of an idle connection
constexpr std::size_t kMostUnsent = 2 * kBatch + 64 * 1024;  // a peer that makes us answer and does not read is cut off

// OpenSSL's words for what went wrong last on this thread.
std::string openssl_reason() {
  const unsigned long error = ERR_peek_error();
  if (error == 0) return "unknown reason";
  if (ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_WRONG_VERSION_NUMBER)
    return "wrong version number (the other side may not speak TLS)";
  const char* reason = ERR_reason_error_string(error);
  return reason ? reason : "error " + std::to_string(error);
}

std::unexpected<Error> other_bytes() {
  return fail(Code::internal, "other bytes were written than those that TLS had begun to send");
}

// A view of `parts` from `position` on, of one record at most; what lies in several parts is gathered in `scratch`.
std::string_view next_piece(std::span<const iovec> parts, std::size_t position, std::array<char, kRecord>& scratch) {
  std::size_t gathered = 0;
  for (const iovec& part : parts) {
    if (position >= part.iov_len) {
      position -= part.iov_len;
      continue;
    }
    const char* begin = static_cast<const char*>(part.iov_base) + position;
    const std::size_t size = std::min(part.iov_len - position, kRecord - gathered);
    position = 0;
    if (gathered == 0 && (size == kRecord || &part == &parts.back())) return {begin, size};
    std::memcpy(scratch.data() + gathered, begin, size);
    gathered += size;
    if (gathered == kRecord) break;
  }
  return {scratch.data(), gathered};
}

}  // namespace

// OpenSSL's view of the socket. Reads come from the kernel; writes go into the buffer and never fail for want of room
// in the kernel.
struct TlsConnection::Bio {
  static int read(BIO* bio, char* into, int room) {
    auto& self = *static_cast<TlsConnection*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    while (true) {
      const ssize_t got = ::recv(self.fd_, into, static_cast<std::size_t>(room), MSG_DONTWAIT);
      if (got > 0) return static_cast<int>(got);
      if (got == 0) {
        self.cut_ = true;
        return 0;
      }
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK)
        BIO_set_retry_read(bio);
      else
        self.read_error_ = errno;
      return -1;
    }
  }
  static int write(BIO* bio, const char* bytes, int size) {
    auto& self = *static_cast<TlsConnection*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (self.write_error_ != 0) return size;  // reported by write(); what has been received can still be read
    if (self.unsent_.size() - self.sent_ + static_cast<std::size_t>(size) > kMostUnsent) return -1;
    self.unsent_.append(bytes, static_cast<std::size_t>(size));
    return size;
  }
  static long control(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_EOF) return static_cast<TlsConnection*>(BIO_get_data(bio))->cut_;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }
  static const BIO_METHOD* method() {
    static BIO_METHOD* const made = [] {
      BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
      if (!method) throw std::bad_alloc();
      BIO_meth_set_read(method, &Bio::read);
      BIO_meth_set_write(method, &Bio::write);
      BIO_meth_set_ctrl(method, &Bio::control);
      return method;
    }();
    return made;
  }
};

TlsConnection::TlsConnection(ssl_st* ssl, int fd) : ssl_(ssl), fd_(fd) {
  BIO* bio = BIO_new(Bio::method());
  if (!bio) {
    SSL_free(ssl_);
    throw std::bad_alloc();
  }
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_read_ahead(ssl_, 1);  // a record in one system call instead of two
}

TlsConnection::~TlsConnection() { SSL_free(ssl_); }

std::unexpected<Error> TlsConnection::broken(const char* what) const {
  if (read_error_ != 0) return transport_error(read_error_, what);
  if (cut_) return fail(Code::closed, std::string(what) + ": the connection was cut off (TLS did not end it)");
  return fail(Code::closed, std::string(what) + ": TLS: " + openssl_reason());
}

Result<TlsConnection::Wants> TlsConnection::shake_hands() {
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_);
  const int state = SSL_get_error(ssl_, done);
  const bool all_sent = flush();  // of a failed handshake too: an alert that says why
  if (done == 1) return all_sent ? Wants::nothing : Wants::write;
  if (state == SSL_ERROR_WANT_READ) return all_sent ? Wants::read : Wants::write;
  broken_ = true;
  if (read_error_ != 0) return transport_error(read_error_, "shaking hands");
  if (cut_) return fail(Code::closed, "the other side ended the connection during the handshake");
  return fail(Code::closed, openssl_reason());
}

// ---- reading ----

TlsConnection::Received TlsConnection::read(char* into, std::size_t room) {
  std::size_t bytes = 0;
  while (bytes < room && !ended_ && !read_failure_) {
    ERR_clear_error();
    std::size_t got = 0;
    const int done = SSL_read_ex(ssl_, into + bytes, room - bytes, &got);
    if (done == 1) {
      bytes += got;
      if (!SSL_has_pending(ssl_)) break;
      continue;
    }
    const int state = SSL_get_error(ssl_, done);
    if (state == SSL_ERROR_WANT_READ) break;
    if (state == SSL_ERROR_ZERO_RETURN) {
      ended_ = true;
    } else {
      broken_ = true;
      read_failure_ = broken("reading").error();
    }
  }
  if (has_unsent()) flush();  // an answer of TLS's own
  if (bytes > 0) return {Received::Kind::bytes, bytes};
  if (ended_) return {Received::Kind::end};
  if (read_failure_) return {Received::Kind::failed};
  return {Received::Kind::would_block};
}

// ---- writing ----

bool TlsConnection::flush() {
  while (has_unsent() && write_error_ == 0) {
    const ssize_t sent = ::send(fd_, unsent_.data() + sent_, unsent_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0)
      sent_ += static_cast<std::size_t>(sent);
    else if (errno == EAGAIN || errno == EWOULDBLOCK)
      return false;
    else if (errno != EINTR)
      write_error_ = errno;
  }
  if (!unsent_.empty()) {
    if (unsent_.capacity() > kKeptBuffer)
      unsent_ = std::string();
    else
      unsent_.clear();
    sent_ = 0;
  }
  if (finishing_) {
    finishing_ = false;
    ::shutdown(fd_, SHUT_WR);
  }
  return true;
}

bool TlsConnection::encrypt(const char* bytes, std::size_t size) {
  ERR_clear_error();
  std::size_t taken = 0;
  if (!broken_ && SSL_write_ex(ssl_, bytes, size, &taken) == 1 && taken == size) return true;
  broken_ = true;
  return false;
}

// Sends what an earlier write left. The plain bytes that were taken then and can be reported now; while has_unsent()
// no more can be taken.
Result<std::size_t> TlsConnection::begin_write() {
  const bool all_sent = flush();
  if (write_error_ != 0) return transport_error(write_error_, "writing");
  if (!all_sent) return 0;
  return std::exchange(unreported_, 0);
}

Result<std::size_t> TlsConnection::write(std::span<const iovec> parts) {
  std::size_t offered = 0;
  for (const iovec& part : parts) offered += part.iov_len;
  auto begun = begin_write();
  if (!begun || has_unsent()) return begun;
  std::size_t taken = *begun;
  if (taken > offered) return other_bytes();
  offered = std::min(offered, taken + kMostPerCall);
  std::array<char, kRecord> scratch;
  while (taken < offered) {
    const std::size_t before = taken;
    do {
      const std::string_view piece = next_piece(parts, taken, scratch);
      if (!encrypt(piece.data(), piece.size())) return broken("writing");
      taken += piece.size();
    } while (taken < offered && unsent_.size() < kBatch);
    const bool all_sent = flush();
    if (write_error_ != 0) return transport_error(write_error_, "writing");
    if (!all_sent) {
      unreported_ = taken - before;
      return before;
    }
  }
  return taken;
}

Result<std::size_t> TlsConnection::send_file(int file, std::uint64_t& offset, std::uint64_t length) {
  auto begun = begin_write();
  if (!begun || has_unsent()) return begun;
  std::size_t taken = *begun;
  if (taken > length) return other_bytes();
  length = std::min<std::uint64_t>(length, taken + kMostPerCall);
  std::array<char, kRecord> scratch;
  while (taken < length) {
    const std::size_t before = taken;
    do {
      const ssize_t got = ::pread(file, scratch.data(), std::min<std::uint64_t>(length - taken, scratch.size()),
                                  static_cast<off_t>(offset + taken));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail_errno(errno, "reading the file that is being sent", Code::internal);
      if (got == 0) return fail(Code::internal, "the file became shorter while it was being sent");
      if (!encrypt(scratch.data(), static_cast<std::size_t>(got))) return broken("sending a file");
      taken += static_cast<std::size_t>(got);
    } while (taken < length && unsent_.size() < kBatch);
    const bool all_sent = flush();
    if (write_error_ != 0) return transport_error(write_error_, "sending a file");
    if (!all_sent) {
      unreported_ = taken - before;
      taken = before;
      break;
    }
  }
  offset += taken;
  return taken;
}

void TlsConnection::finish() {
  if (!broken_) {
    ERR_clear_error();
    SSL_shutdown(ssl_);
  }
  finishing_ = true;
  flush();
}

// ---- starting ----

Task<Result<void>> TlsStart::run(Stream& stream, std::unique_ptr<TlsConnection>& tls, TimePoint deadline) {
  if (stream.reading_ || stream.tls_ || stream.begin_ != stream.end_)
    co_return fail(Code::internal, "TLS was to start on a stream that is in use");
  while (true) {
    const auto wants = tls->shake_hands();
    if (!wants) co_return std::unexpected(wants.error());
    if (*wants == TlsConnection::Wants::nothing) break;
    using Asio = Descriptor::Asio;
    const auto type = *wants == TlsConnection::Wants::write ? Asio::wait_write : Asio::wait_read;
    const bool ready = co_await Readiness(stream.loop(), stream.descriptor_->asio, type, deadline);
    if (!ready || stream.loop().now() >= deadline) co_return fail(Code::timed_out, "the handshake took too long");
  }
  stream.tls_ = std::move(tls);
  co_return Result<void>{};
}

}  // namespace fivefold::net::detail
