#pragma once
// An ASGI application (asgiref's specification 3.0) and its worker: one event loop, many requests at once.
#include <memory>
#include <vector>

#include "asgi_channel.h"
#include "asgi_scope.h"
#include "asgi_websocket.h"
#include "channel/channels.h"
#include "python_object.h"

namespace fivefold::python {

class Asgi {
 public:
  // In the zygote. Null with an exception set. `application` is shared; `loop` is asgi_loop.py as a module.
  static std::unique_ptr<Asgi> prepare(PyObject* application, PyObject* loop_module);

  // In a worker: runs until its channels have ended and its requests are over. False: the application refused to start,
  // which has been said.
  bool run(worker::Channels& channels);

  // In a child that the application has forked and that came back to the loop: ends it.
  void leave_if_forked() const;

  PyObject* application() const { return application_.get(); }
  AsgiScope& scope() { return scope_; }
  // To be set before run().
  WebSocketLimits& websocket_limits() { return websocket_limits_; }
  // Of the worker that runs. Borrowed.
  PyObject* loop() const { return loop_.get(); }

  // ---- tasks that have been made and not had their first turn ----
  void task_made() { ++fresh_; }
  // The last of them sends what all have to say.
  void task_stepped();
  bool has_fresh() const { return fresh_ > 0; }

  // A channel has ended or an exchange is over: perhaps the worker's work is done.
  void look_whether_done();

  // ---- the loop ----
  // A task for a coroutine. Null with an exception set.
  Ref make_task(PyObject* coroutine);
  // The channel's flush() in this turn of the loop, or the next. False when the loop cannot.
  bool call_soon(AsgiChannel& channel);
  bool watch_writing(AsgiChannel& channel, bool watch);
  void channel_ended(AsgiChannel& channel);
  void watch_deadline(std::int64_t deadline);

  // For the loop's module: it has a loop, and the application has started with `state`.
  bool attach(PyObject* loop, PyObject* state);
  // The worker shall end now: WebSockets say goodbye, and the loop stops. False with an exception set.
  bool leave();
  // leave() as the loop calls it. Borrowed.
  PyObject* leaver() const { return leaver_.get(); }
  // Cancels the requests whose time is up.
  void check_time_limits();

 private:
  bool stop();

  Ref application_, loop_module_, loop_;
  AsgiScope scope_;
  WebSocketLimits websocket_limits_;
  const worker::Channels* worker_channels_ = nullptr;
  std::vector<std::unique_ptr<AsgiChannel>> channels_;
  std::size_t open_ = 0;  // channels
  std::size_t fresh_ = 0;
  std::int64_t check_at_ = 0;  // milliseconds of the monotonic clock; 0: no check has been ordered
  Ref task_type_, call_soon_, checker_, leaver_;
};

}  // namespace fivefold::python
