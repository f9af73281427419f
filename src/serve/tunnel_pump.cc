#include "serve/tunnel_pump.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

namespace fivefold::serve {

TunnelPump::TunnelPump(net::Stream& client, exchange::Tunnel& tunnel, std::chrono::milliseconds send_timeout,
                       Counters& counters)
    : client_(client),
      tunnel_(tunnel),
      send_timeout_(send_timeout),
      idle_timeout_(tunnel.idle_timeout()),
      counters_(counters),
      last_move_(client.loop().now()),
      over_(client.loop()),
      clock_(client.loop().timers(), &TunnelPump::look_at_clock, this) {}

net::Task<TunnelPump::End> TunnelPump::run() {
  moved();
  clock_.set(deadline());
  up_ = net::Running(to_program());
  down_ = net::Running(to_client());
  co_await over_.wait();
  clock_.cancel();
  up_ = {};
  down_ = {};
  end_.client_ended = client_ended_;
  co_return std::move(end_);
}

net::Task<void> TunnelPump::let_client_take_the_rest() {
  net::Loop& loop = client_.loop();
  const auto give_up = loop.now() + kLastWords;
  int waiting = 0;
  while (::ioctl(client_.fd(), SIOCOUTQ, &waiting) == 0 && waiting > 0 && loop.now() < give_up)
    co_await net::sleep_until(loop, loop.now() + std::chrono::milliseconds(10));
}

// Both directions may see the same end: the first to do so says what it was.
void TunnelPump::finish(Reason reason, Error error) {
  if (finished_) return;
  finished_ = true;
  end_.reason = reason;
  end_.error = std::move(error);
  over_.set();
}

net::TimePoint TunnelPump::deadline() const {
  auto silence = idle_timeout_;
  if (program_ended_) silence = std::min(silence, kAfterProgramEnd);
  if (program_deaf_) silence = std::min(silence, kLastWords);
  return last_move_ + silence;
}

// The deadline moves with every byte; the timer is set anew only when it fires.
void TunnelPump::look_at_clock(void* self) {
  auto& pump = *static_cast<TunnelPump*>(self);
  if (pump.finished_) return;
  const auto at = pump.deadline();
  if (pump.client_.loop().now() < at)
    pump.clock_.set(at);
  else if (pump.program_ended_)
    pump.finish(Reason::ended);
  else if (pump.program_deaf_)
    pump.finish(Reason::program_broke, {Code::program_failed, "the program takes nothing more from its client"});
  else
    pump.finish(Reason::idle, {Code::timed_out, "nothing went through the tunnel for its idle timeout"});
}

net::Task<void> TunnelPump::to_program() {
  try {
    co_await pass_to_program();
  } catch (const std::exception& bug) {
    finish(Reason::program_broke, {Code::internal, std::string("bug: an exception reached a tunnel: ") + bug.what()});
  }
}

net::Task<void> TunnelPump::to_client() {
  try {
    co_await pass_to_client();
  } catch (const std::exception& bug) {
    finish(Reason::program_broke, {Code::internal, std::string("bug: an exception reached a tunnel: ") + bug.what()});
  }
}

net::Task<void> TunnelPump::pass_to_program() {
  while (true) {
    const std::string_view bytes = client_.buffered();
    if (!bytes.empty()) {
      moved();
      counters_.bytes_received.fetch_add(bytes.size(), std::memory_order_relaxed);
      auto taken = co_await tunnel_.send(bytes);
      if (!taken) {
        // A program that has closed may have a last word on its way (RFC 6455 section 7.1.1).
        if (program_ended_) {
          finish(Reason::ended);
        } else if (taken.error().code != Code::closed) {
          finish(Reason::program_broke, std::move(taken.error()));
        } else {
          program_deaf_ = true;
          moved();
          clock_.set(deadline());
        }
        co_return;
      }
      moved();
      client_.consume(bytes.size());
    }
    if (client_.part_from_pinned()) client_.adapt();
    auto got = co_await client_.fill();
    if (!got) {
      finish(Reason::client_left, std::move(got.error()));
      co_return;
    }
    if (*got > 0) continue;
    client_ended_ = true;
    moved();
    tunnel_.finish_sending();
    if (program_ended_) finish(Reason::ended);
    co_return;
  }
}

net::Task<void> TunnelPump::pass_to_client() {
  while (true) {
    auto chunk = co_await tunnel_.next();
    if (!chunk) {
      // A program that closes, or dies, with input that it has not read.
      const bool left = chunk.error().code == Code::closed;
      finish(left ? Reason::program_left : Reason::program_broke, std::move(chunk.error()));
      co_return;
    }
    if (chunk->empty()) {
      program_ended_ = true;
      moved();
      client_.shutdown_write();
      if (client_ended_ || program_deaf_)
        finish(Reason::ended);
      else
        clock_.set(deadline());
      co_return;
    }
    std::string_view rest = *chunk;
    while (!rest.empty()) {
      const iovec part{const_cast<char*>(rest.data()), rest.size()};
      const auto written = client_.write_some({&part, 1});
      if (!written) {
        finish(Reason::client_left, written.error());
        co_return;
      }
      if (*written > 0) {
        moved();
        sent_ += *written;
        counters_.bytes_sent.fetch_add(*written, std::memory_order_relaxed);
        rest.remove_prefix(*written);
        continue;
      }
      auto ready = co_await client_.writable(client_.loop().now() + send_timeout_);
      if (!ready) {
        const bool stalled = ready.error().code == Code::timed_out;
        finish(stalled ? Reason::client_stalled : Reason::client_left, std::move(ready.error()));
        co_return;
      }
    }
  }
}

}  // namespace fivefold::serve
