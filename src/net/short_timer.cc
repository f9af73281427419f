#include "net/short_timer.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace fivefold::net {

// Kept by the wait under way: its completion may already be queued when the owner cancels or lets go.
struct ShortTimer::Core {
  boost::asio::basic_waitable_timer<Clock, boost::asio::wait_traits<Clock>, boost::asio::io_context::executor_type>
      alarm;
  Callback callback;
  void* context;
  std::uint64_t generation = 0;
};

ShortTimer::ShortTimer(Loop& loop, Callback callback, void* context)
    : core_(std::make_shared<Core>(
          Core{.alarm{loop.context().get_executor()}, .callback = callback, .context = context})) {}

ShortTimer::~ShortTimer() { cancel(); }

void ShortTimer::set(std::chrono::microseconds after) {
  const auto generation = ++core_->generation;
  core_->alarm.expires_after(after);
  core_->alarm.async_wait([core = core_, generation](const boost::system::error_code& error) {
    if (!error && core->generation == generation) core->callback(core->context);
  });
}

void ShortTimer::cancel() {
  ++core_->generation;
  core_->alarm.cancel();
}

}  // namespace fivefold::net
