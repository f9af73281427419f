#include "net/stream.h"

#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <cerrno>
#include <cstring>

#include "net/descriptor.h"
#include "net/tls_connection.h"
#include "net/transport_error.h"

namespace fivefold::net {

using boost::system::error_code;
using detail::transport_error;

namespace detail {

void Descriptor::start_read() {
  if (stream) stream->start_read();
}
void Descriptor::tls_readable() {
  if (stream) stream->tls_read();
}
void Descriptor::read_done(const error_code& error, std::size_t bytes) {
  if (stream) stream->read_done(error == boost::asio::error::eof ? 0 : error.value(), bytes);
}
void Descriptor::write_ready(const error_code& error) {
  if (stream) stream->write_ready(error.value());
}

void intrusive_ptr_add_ref(Descriptor* descriptor) { ++descriptor->references; }
void intrusive_ptr_release(Descriptor* descriptor) {
  if (--descriptor->references == 0) delete descriptor;
}

struct ReadHandler {
  boost::intrusive_ptr<Descriptor> descriptor;
  void operator()(const error_code& error, std::size_t bytes) { descriptor->read_done(error, bytes); }
};
struct ReadableHandler {
  boost::intrusive_ptr<Descriptor> descriptor;
  void operator()(const error_code&) { descriptor->tls_readable(); }
};
struct WriteHandler {
  boost::intrusive_ptr<Descriptor> descriptor;
  void operator()(const error_code& error) { descriptor->write_ready(error); }
};

}  // namespace detail

namespace {

// Behind a pinned head, a body is read into what is left of the buffer as long as that is worth a system call.
constexpr std::uint32_t kWorthReading = 512;
constexpr std::uint32_t kBodyBuffer = 65536;
constexpr std::chrono::seconds kLookAgain{1};  // whether the other side of a full, watched stream has hung up

}  // namespace

Stream::Stream(Loop& loop, UniqueFd fd, std::size_t initial, std::size_t maximum)
    : loop_(loop),
      capacity_(static_cast<std::uint32_t>(initial)),
      initial_(static_cast<std::uint32_t>(initial)),
      maximum_(static_cast<std::uint32_t>(maximum)),
      read_timer_(loop.timers(), &Stream::read_timer_fired, this),
      write_timer_(loop.timers(), &Stream::write_timer_fired, this) {
  descriptor_ = new detail::Descriptor(loop.context(), fd.get(), this);  // throws when epoll takes no more
  (void)fd.release();
  error_code ignored;
  descriptor_->asio.native_non_blocking(true, ignored);
}

Stream::~Stream() {
  descriptor_->stream = nullptr;
  error_code ignored;
  descriptor_->asio.close(ignored);
  intrusive_ptr_release(descriptor_);
}

int Stream::fd() const { return descriptor_->asio.native_handle(); }

// ---- reading ----

void Stream::pin(std::size_t bytes) {
  begin_ += static_cast<std::uint32_t>(bytes);
  pin_ = begin_;
}

void Stream::unpin() {
  pinned_.reset();
  pin_ = 0;
  if (begin_ == end_ && !reading_) begin_ = end_ = 0;
}

bool Stream::part_from_pinned() {
  if (pin_ == 0) return true;
  if (reading_) return false;
  const std::uint32_t unread = end_ - begin_;
  const std::uint32_t capacity = std::max(initial_, unread);
  auto rest = std::make_unique_for_overwrite<char[]>(capacity);
  std::memcpy(rest.get(), data_.get() + begin_, unread);
  if (!pinned_) pinned_ = std::move(data_);
  data_ = std::move(rest);
  capacity_ = capacity;
  begin_ = pin_ = 0;
  end_ = unread;
  return true;
}

void Stream::adapt() {
  if (reading_ || pin_ != 0 || begin_ != end_) return;
  const std::uint32_t wanted = end_ == capacity_ ? std::min(maximum_, capacity_ * 4) : initial_;
  begin_ = end_ = 0;
  filled_ = false;
  if (wanted == capacity_) return;
  data_.reset();
  capacity_ = wanted;
}

void Stream::shrink() {
  if (reading_ || pin_ != 0 || begin_ != end_) return;
  begin_ = end_ = 0;
  if (capacity_ > initial_ || capacity_ < initial_) {
    data_.reset();
    capacity_ = initial_;
  }
}

// Makes room behind end_, moving what has not been consumed but never what is pinned.
bool Stream::make_room() {
  if (!data_) {
    data_ = std::make_unique_for_overwrite<char[]>(capacity_);
    begin_ = end_ = pin_ = 0;
    return true;
  }
  if (begin_ == end_) begin_ = end_ = pin_;
  const std::uint32_t unread = end_ - begin_;
  const bool more_waits = std::exchange(filled_, false);
  if (pin_ != 0) {
    if (capacity_ - end_ >= kWorthReading && !more_waits) return true;
    // The head keeps its buffer; the body goes on in one of its own.
    if (unread >= kBodyBuffer) return false;
    auto body = std::make_unique_for_overwrite<char[]>(kBodyBuffer);
    std::memcpy(body.get(), data_.get() + begin_, unread);
    if (!pinned_) pinned_ = std::move(data_);
    data_ = std::move(body);
    capacity_ = kBodyBuffer;
    begin_ = pin_ = 0;
    end_ = unread;
    return true;
  }
  if (begin_ > 0 && (end_ == capacity_ || unread == 0)) {
    std::memmove(data_.get(), data_.get() + begin_, unread);
    begin_ = 0;
    end_ = unread;
  }
  if (end_ < capacity_ && !(more_waits && capacity_ < maximum_)) return true;
  if (capacity_ >= maximum_) return false;
  const std::uint32_t larger = std::min(maximum_, capacity_ * (more_waits ? 4 : 2));
  auto grown = std::make_unique_for_overwrite<char[]>(larger);
  std::memcpy(grown.get(), data_.get(), end_);
  data_ = std::move(grown);
  capacity_ = larger;
  return true;
}

void Stream::read_soon() {
  reading_ = true;
  loop_.read_soon(descriptor_);
}

void Stream::start_read() {
  if (tls_) [[unlikely]]
    return tls_read();
  reading_ = true;
  descriptor_->asio.async_read_some(boost::asio::buffer(data_.get() + end_, capacity_ - end_),
                                    detail::ReadHandler{boost::intrusive_ptr<detail::Descriptor>(descriptor_)});
}

// At the top of the loop. Asks TLS before it waits: bytes may have been decrypted that no event will announce.
void Stream::tls_read() {
  reading_ = true;
  using Kind = detail::TlsConnection::Received::Kind;
  const auto received = tls_->read(data_.get() + end_, capacity_ - end_);
  if (tls_->has_unsent()) wait_writable();
  if (received.kind != Kind::would_block) {
    read_done(received.kind == Kind::failed ? EPROTO : 0, received.bytes);
    return;
  }
  descriptor_->asio.async_wait(detail::Descriptor::Asio::wait_read,
                               detail::ReadableHandler{boost::intrusive_ptr<detail::Descriptor>(descriptor_)});
}

std::unexpected<Error> Stream::read_failure() const {
  if (tls_) return std::unexpected(tls_->read_failure());
  return transport_error(read_error_, "reading");
}

void Stream::read_done(int error_number, std::size_t bytes) {
  reading_ = false;
  end_ += static_cast<std::uint32_t>(bytes);
  filled_ = bytes > 0 && end_ == capacity_;  // there was more than fitted: the next read gets more room
  if (error_number != 0)
    read_error_ = error_number;
  else if (bytes == 0)
    at_end_ = true;
  fresh_ += static_cast<std::uint32_t>(bytes);
  if (filler_) {
    Fill* filler = std::exchange(filler_, nullptr);
    read_timer_.cancel();
    filler->awaiting_.resume();
    return;
  }
  if (!watcher_) return;
  if (error_number != 0 || at_end_) {
    std::exchange(watcher_, nullptr)->request();  // may destroy this stream
    return;
  }
  if (end_ < capacity_)
    tls_ ? read_soon() : start_read();
  else
    read_timer_.set(loop_.now() + kLookAgain);
}

void Stream::unwatch() {
  if (!watcher_) return;
  watcher_ = nullptr;
  read_timer_.cancel();
}

// A watched stream whose buffer is full cannot be read: once a second it is asked whether the other side has hung up.
void Stream::look_for_hangup() {
  pollfd state{fd(), POLLRDHUP, 0};
  if (at_end_ || read_error_ != 0 || (::poll(&state, 1, 0) == 1 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR)))) {
    std::exchange(watcher_, nullptr)->request();  // may destroy this stream
    return;
  }
  read_timer_.set(loop_.now() + kLookAgain);
}

// Reads only into room that is there: what is buffered must not move under somebody who looks at it.
void Stream::watch_close(StopSource& stop, std::chrono::milliseconds after) {
  watcher_ = &stop;
  if (reading_) return;
  if (at_end_ || read_error_ != 0)
    read_timer_.set(loop_.now());
  else if (after.count() > 0)
    read_timer_.set(loop_.now() + after);
  else if (!read_on())
    read_timer_.set(loop_.now() + kLookAgain);
}

// For a watcher, if there is room.
bool Stream::read_on() {
  if (at_end_ || read_error_ != 0 || !(data_ ? end_ < capacity_ : make_room())) return false;
  tls_ ? read_soon() : start_read();  // TLS may have something at once, and answers from the top of the loop only
  return true;
}

void Stream::read_timer_fired(void* self) {
  auto* stream = static_cast<Stream*>(self);
  if (!stream->filler_) {
    if (stream->watcher_ && !stream->reading_ && !stream->read_on()) stream->look_for_hangup();
    return;
  }
  Fill* filler = std::exchange(stream->filler_, nullptr);
  filler->timed_out_ = true;
  filler->awaiting_.resume();
}

Stream::Fill::~Fill() {
  if (stream_.filler_ == this) {
    stream_.filler_ = nullptr;
    stream_.read_timer_.cancel();
  }
}

bool Stream::Fill::await_ready() {
  stream_.unwatch();
  // What came while nobody waited may have been found and consumed without a fill().
  stream_.fresh_ = std::min(stream_.fresh_, stream_.end_ - stream_.begin_);
  if (stream_.fresh_ > 0 || stream_.at_end_ || stream_.read_error_ != 0) return true;
  if (!stream_.reading_ && !stream_.make_room()) {
    full_ = true;
    return true;
  }
  return false;
}

void Stream::Fill::await_suspend(std::coroutine_handle<> awaiting) {
  awaiting_ = awaiting;
  stream_.filler_ = this;
  if (deadline_ != kNever) stream_.read_timer_.set(deadline_);
  if (!stream_.reading_) stream_.read_soon();
}

Result<std::size_t> Stream::Fill::await_resume() {
  if (timed_out_) return fail(Code::timed_out, "nothing was received in time");
  if (full_) return fail(Code::header_too_large, "the read buffer is full");
  if (const auto bytes = std::exchange(stream_.fresh_, 0); bytes > 0) return bytes;
  if (stream_.read_error_ != 0) return stream_.read_failure();
  return 0;
}

// ---- writing ----

Result<std::size_t> Stream::write_some(std::span<const iovec> parts, bool more) {
  if (tls_) [[unlikely]]
    return tls_->write(parts);
  while (true) {
    ssize_t written = 0;
    if (socket_) {
      const int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0);
      if (parts.size() == 1) {
        written = ::send(fd(), parts[0].iov_base, parts[0].iov_len, flags);
      } else {
        msghdr message{};
        message.msg_iov = const_cast<iovec*>(parts.data());
        message.msg_iovlen = parts.size();
        written = ::sendmsg(fd(), &message, flags);
      }
      if (written < 0 && errno == ENOTSOCK) {
        socket_ = false;
        continue;
      }
    } else {
      written = ::writev(fd(), parts.data(), static_cast<int>(parts.size()));
    }
    if (written >= 0) return static_cast<std::size_t>(written);
    if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
    if (errno != EINTR) return transport_error(errno, "writing");
  }
}

Result<std::size_t> Stream::send_file_some(int file, std::uint64_t& offset, std::uint64_t length) {
  if (tls_) [[unlikely]]
    return tls_->send_file(file, offset, length);
  while (true) {
    auto position = static_cast<off_t>(offset);
    const ssize_t sent = ::sendfile(fd(), file, &position, length);
    if (sent > 0) {
      offset = static_cast<std::uint64_t>(position);
      return static_cast<std::size_t>(sent);
    }
    if (sent == 0) return fail(Code::internal, "the file became shorter while it was being sent");
    if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
    if (errno == EIO) return fail_errno(errno, "reading the file that is being sent", Code::internal);
    if (errno != EINTR) return transport_error(errno, "sending a file");
  }
}

void Stream::write_ready(int error_number) {
  waiting_writable_ = false;
  if (tls_ && !tls_->flush()) wait_writable();
  if (!writer_) return;
  Writable* writer = std::exchange(writer_, nullptr);
  write_timer_.cancel();
  writer->error_ = error_number;
  writer->awaiting_.resume();
}

void Stream::wait_writable() {
  if (waiting_writable_) return;
  waiting_writable_ = true;
  descriptor_->asio.async_wait(detail::Descriptor::Asio::wait_write,
                               detail::WriteHandler{boost::intrusive_ptr<detail::Descriptor>(descriptor_)});
}

void Stream::write_timer_fired(void* self) {
  auto* stream = static_cast<Stream*>(self);
  if (!stream->writer_) return;
  Writable* writer = std::exchange(stream->writer_, nullptr);
  writer->timed_out_ = true;
  writer->awaiting_.resume();
}

Stream::Writable::~Writable() {
  if (stream_.writer_ == this) {
    stream_.writer_ = nullptr;
    stream_.write_timer_.cancel();
  }
}

void Stream::Writable::await_suspend(std::coroutine_handle<> awaiting) {
  awaiting_ = awaiting;
  stream_.writer_ = this;
  if (deadline_ != kNever) stream_.write_timer_.set(deadline_);
  stream_.wait_writable();
}

Result<void> Stream::Writable::await_resume() {
  if (timed_out_) return fail(Code::timed_out, "the other side took nothing in time");
  if (error_ != 0) return transport_error(error_, "writing");
  return {};
}

Task<Result<void>> Stream::write_all(std::string_view bytes, std::chrono::milliseconds silence, bool more) {
  while (!bytes.empty()) {
    const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    const auto written = write_some({&part, 1}, more);
    if (!written) co_return std::unexpected(written.error());
    bytes.remove_prefix(*written);
    if (bytes.empty()) break;
    auto ready = co_await writable(loop_.now() + silence);
    if (!ready) co_return std::unexpected(std::move(ready.error()));
  }
  co_return Result<void>{};
}

void Stream::shutdown_write() {
  if (!tls_) {
    ::shutdown(fd(), SHUT_WR);
    return;
  }
  tls_->finish();
  if (tls_->has_unsent()) wait_writable();
}

void Stream::set_reset_on_close() {
  const linger option{1, 0};
  ::setsockopt(fd(), SOL_SOCKET, SO_LINGER, &option, sizeof option);
}

}  // namespace fivefold::net
