#include "net/listener.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <cerrno>

namespace fivefold::net {
namespace {

constexpr int kAcceptsPerTurn = 64;  // then other work of the loop has its turn
constexpr std::chrono::milliseconds kExhaustedRest{100};

}  // namespace

struct Listener::Core : std::enable_shared_from_this<Core> {
  using Descriptor = boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type>;
  Core(Loop& l, UniqueFd fd, Accepted a)
      : loop(l), descriptor(l.context(), fd.release()), accepted(std::move(a)), rest(l.timers(), &Core::rested, this) {}

  void wait() {
    if (waiting || paused || closed) return;
    waiting = true;
    descriptor.async_wait(Descriptor::wait_read, [self = shared_from_this()](const boost::system::error_code& error) {
      self->waiting = false;
      if (!error && !self->closed && !self->paused) self->accept();
    });
  }

  void accept() {
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
      sockaddr_storage address{};
      socklen_t length = sizeof address;
      const int fd = ::accept4(descriptor.native_handle(), reinterpret_cast<sockaddr*>(&address), &length,
                               SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        accepted(UniqueFd(fd), address, length);
        if (closed || paused) return;
        continue;
      }
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        if (exhausted) exhausted(errno);
        rest.set(loop.now() + kExhaustedRest);
        return;
      }
      // ECONNABORTED, EPROTO and the like concern that one connection.
    }
    wait();
  }

  static void rested(void* self) { static_cast<Core*>(self)->wait(); }

  Loop& loop;
  Descriptor descriptor;
  Accepted accepted;
  std::function<void(int)> exhausted;
  Timer rest;
  bool waiting = false, paused = false, closed = false;
};

Listener::Listener(Loop& loop, UniqueFd fd, Accepted accepted)
    : core_(std::make_shared<Core>(loop, std::move(fd), std::move(accepted))) {
  boost::system::error_code ignored;
  core_->descriptor.native_non_blocking(true, ignored);
  core_->wait();
}

Listener::~Listener() {
  core_->closed = true;
  boost::system::error_code ignored;
  core_->descriptor.close(ignored);
}

void Listener::pause() { core_->paused = true; }

void Listener::resume() {
  core_->paused = false;
  core_->wait();
}

void Listener::on_exhausted(std::function<void(int)> callback) { core_->exhausted = std::move(callback); }

}  // namespace fivefold::net
