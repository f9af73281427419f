#pragma once
// One ASGI request and its response: the object whose methods are `receive` and `send`, and the coroutine that runs the
// application. What can be answered at once is, without a turn of the loop.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "asgi_channel.h"
#include "failure.h"
#include "python_object.h"
#include "websocket_handshake.h"

namespace fivefold::python {

// Lives in a Python object, which the application may keep for longer than the request.
class AsgiExchange {
 public:
  static constexpr std::uint32_t kWant = 64 * 1024;  // bytes of a body that are asked for at once

  AsgiExchange() = default;
  virtual ~AsgiExchange() = default;
  AsgiExchange(const AsgiExchange&) = delete;
  AsgiExchange& operator=(const AsgiExchange&) = delete;

  // Makes what events are made of; false with an exception set when that fails. Once, before the others.
  static bool prepare();

  struct Request {
    std::uint32_t stream = 0;
    std::uint64_t body_length = 0;
    std::uint32_t time_limit_ms = 0;
    bool body_over = false;
    bool windowed = false;
    bool head_only = false;
    std::string_view body;  // its first bytes
    const WebSocketOffer* websocket = nullptr;
  };
  // Starts a task for a request: a new exchange, or null with an exception set. `scope` is taken over.
  static Ref start(AsgiChannel& channel, const Request& request, Ref scope);
  static AsgiExchange& of(PyObject* exchange);

  // The worker of this process, and its loop.
  static void attach(Asgi* worker);
  static Asgi* worker();
  static PyObject* loop();

  // ---- from the server ----
  virtual void on_body(std::string_view bytes, bool last);
  virtual void on_window(std::uint32_t more);
  // The client has left, or its channel is gone.
  virtual void on_disconnect();
  // The worker ends now.
  virtual void on_leaving() {}
  // The time of deadline() has come, which is over then: that of a request's limit, when the task is cancelled.
  virtual void on_deadline();
  std::int64_t deadline() const { return deadline_; }  // milliseconds of the monotonic clock; 0: none

  // ---- from the application ----
  // The next event; null without an exception when there is none yet: `receivers` are told.
  virtual Ref next_event();
  // Takes an event of the response. False with an exception set.
  bool take(PyObject* event);
  // Whether all that was taken is on its way: until then send() waits.
  bool drained() const { return unsent_.empty() || disconnected_; }
  // The response is whole and the application goes on: the server need not wait for it.
  void end_early();
  // The application's coroutine is over.
  virtual void finished(std::optional<Failure> failure);

  // For the garbage collector.
  PyObject* task() const { return task_.get(); }
  void drop_task() { task_ = {}; }

  std::vector<Ref> receivers, senders;  // futures of those that wait

 protected:
  static bool is(PyObject* text, const Ref& name) {
    return text == name.get() || (PyUnicode_Check(text) && PyUnicode_Compare(text, name.get()) == 0);
  }
  static std::int64_t now();  // milliseconds of the monotonic clock

  // A WebSocket has been asked for. False with an exception set.
  virtual bool offered(const WebSocketOffer&) { return true; }
  // `kind` is the event's type.
  virtual bool take_event(PyObject* kind, PyObject* event);
  bool take_start(PyObject* event);
  bool take_body(PyObject* event);
  bool take_hint(PyObject* event);
  bool write_header(PyObject* pair, long status);
  void send_some();
  void wake(std::vector<Ref>& waiters);
  void log(std::string_view text);
  void log_failure(Failure& failure);
  void look_at(std::int64_t deadline);
  // The server has been told that the request is over.
  void leave();

  AsgiChannel* channel_ = nullptr;  // nullptr: the request is over
  Ref task_;
  std::uint32_t stream_ = 0;
  std::int64_t deadline_ = 0;
  std::uint32_t limit_ms_ = 0;  // of the request

  std::string body_;
  std::uint64_t wanted_ = 0;
  bool body_over_ = false, body_told_ = false;
  bool disconnected_ = false, timed_out_ = false;

  std::string head_;
  std::optional<std::uint64_t> content_length_;
  std::uint64_t taken_ = 0;   // bytes of the body that the application has given
  std::uint64_t window_ = 0;  // that the server takes
  std::string unsent_;
  bool windowed_ = false, head_only_ = false, bodiless_ = false;
  bool started_ = false, head_sent_ = false, complete_ = false, ended_ = false;
};

}  // namespace fivefold::python
