#include "asgi_exchange.h"

#include <sys/syslog.h>

#include <array>
#include <charconv>
#include <ctime>
#include <utility>

#include "asgi.h"
#include "asgi_coroutine.h"
#include "asgi_object.h"
#include "header_rules.h"

namespace fivefold::python {
namespace {

// What events are made of and looked up by.
struct Names {
  Ref type, body, more_body, status, headers, links;
  Ref http_request, http_disconnect, start, response_body, early_hint;
  bool make() {
    const auto name = [](Ref& ref, const char* text) {
      ref = Ref::take(PyUnicode_InternFromString(text));
      return static_cast<bool>(ref);
    };
    return name(type, "type") && name(body, "body") && name(more_body, "more_body") && name(status, "status") &&
           name(headers, "headers") && name(links, "links") && name(http_request, "http.request") &&
           name(http_disconnect, "http.disconnect") && name(start, "http.response.start") &&
           name(response_body, "http.response.body") && name(early_hint, "http.response.early_hint");
  }
};
Names* names = nullptr;
Asgi* worker_of_process = nullptr;

Ref disconnect_event() {
  Ref event = Ref::take(PyDict_New());
  if (!event || PyDict_SetItem(event.get(), names->type.get(), names->http_disconnect.get()) != 0) return {};
  return event;
}

}  // namespace

bool AsgiExchange::prepare() {
  names = new Names;
  return names->make() && prepare_asgi_objects() && prepare_coroutines();
}

std::int64_t AsgiExchange::now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

void AsgiExchange::attach(Asgi* worker) { worker_of_process = worker; }
Asgi* AsgiExchange::worker() { return worker_of_process; }
PyObject* AsgiExchange::loop() { return worker_of_process->loop(); }

Ref AsgiExchange::start(AsgiChannel& channel, const Request& request, Ref scope) {
  Ref made = request.websocket != nullptr ? make_websocket_object() : make_http_object();
  if (!made) return made;
  AsgiExchange& self = of(made.get());
  self.channel_ = &channel;
  self.stream_ = request.stream;
  self.body_ = request.body;
  self.body_over_ = request.body_over;
  self.windowed_ = request.windowed;
  self.window_ = protocol::kFirstWindow;
  self.head_only_ = request.head_only;
  self.limit_ms_ = request.time_limit_ms;
  if (request.time_limit_ms != 0) self.deadline_ = now() + request.time_limit_ms;
  if (request.websocket != nullptr && !self.offered(*request.websocket)) return {};
  const Ref run = run_coroutine(made.get(), worker()->application(), scope.get());
  if (!run) return {};
  self.task_ = worker()->make_task(run.get());
  if (!self.task_) return {};
  worker()->task_made();
  if (self.deadline_ != 0) worker()->watch_deadline(self.deadline_);
  return made;
}

void AsgiExchange::wake(std::vector<Ref>& waiters) {
  if (waiters.empty()) return;
  for (const Ref& future : std::exchange(waiters, {})) {
    const Ref done = Ref::take(PyObject_CallMethod(future.get(), "done", nullptr));
    if (done && done.get() == Py_False) Ref::take(PyObject_CallMethod(future.get(), "set_result", "O", Py_None));
    if (PyErr_Occurred() != nullptr) PyErr_WriteUnraisable(future.get());
  }
}

void AsgiExchange::look_at(std::int64_t deadline) {
  deadline_ = deadline;
  if (deadline != 0) worker()->watch_deadline(deadline);
}

// ---- the request ----

void AsgiExchange::on_body(std::string_view bytes, bool last) {
  if (bytes.size() > wanted_) return on_disconnect();  // more than it was asked for
  wanted_ -= bytes.size();
  body_ += bytes;
  body_over_ = last;
  wake(receivers);
}

Ref AsgiExchange::next_event() {
  if (channel_ == nullptr || disconnected_ || (complete_ && body_told_)) return disconnect_event();
  if (body_told_) return {};
  if (body_.empty() && !body_over_) {
    if (complete_) return disconnect_event();
    if (wanted_ == 0) {
      wanted_ = kWant;
      channel_->put(protocol::Frame::want, 0, stream_, {reinterpret_cast<const char*>(&kWant), sizeof kWant});
    }
    return {};
  }
  Ref event = Ref::take(PyDict_New());
  const Ref body = Ref::take(PyBytes_FromStringAndSize(body_.data(), static_cast<Py_ssize_t>(body_.size())));
  if (!event || !body || PyDict_SetItem(event.get(), names->type.get(), names->http_request.get()) != 0 ||
      PyDict_SetItem(event.get(), names->body.get(), body.get()) != 0 ||
      PyDict_SetItem(event.get(), names->more_body.get(), body_over_ ? Py_False : Py_True) != 0)
    return {};
  body_.clear();
  body_told_ = body_over_;
  return event;
}

void AsgiExchange::on_disconnect() {
  disconnected_ = true;
  unsent_ = std::string();
  wake(receivers);
  wake(senders);
}

void AsgiExchange::on_deadline() {
  deadline_ = 0;
  timed_out_ = true;
  const Ref cancelled = Ref::take(PyObject_CallMethod(task_.get(), "cancel", nullptr));
  if (!cancelled) PyErr_WriteUnraisable(task_.get());
}

// ---- the response ----

bool AsgiExchange::take(PyObject* event) {
  if (!PyDict_Check(event)) {
    PyErr_Format(PyExc_TypeError, "send() takes a dict, not %.100s", Py_TYPE(event)->tp_name);
    return false;
  }
  PyObject* kind = PyDict_GetItemWithError(event, names->type.get());
  if (kind == nullptr) {
    if (PyErr_Occurred() == nullptr) PyErr_SetString(PyExc_ValueError, "send(): the event has no \"type\"");
    return false;
  }
  return take_event(kind, event);
}

bool AsgiExchange::take_event(PyObject* kind, PyObject* event) {
  if (channel_ == nullptr || disconnected_) {
    set_client_left("send(): the client has left");
    return false;
  }
  if (is(kind, names->response_body)) return take_body(event);
  if (is(kind, names->start)) return take_start(event);
  if (is(kind, names->early_hint)) return take_hint(event);
  PyErr_Format(PyExc_ValueError, "send(): an event of type %.200R has no place in an HTTP response", kind);
  return false;
}

bool AsgiExchange::take_start(PyObject* event) {
  if (started_) {
    PyErr_SetString(PyExc_RuntimeError, "send(): the response has started before");
    return false;
  }
  PyObject* status = PyDict_GetItemWithError(event, names->status.get());
  const long code = status != nullptr && PyLong_Check(status) ? PyLong_AsLong(status) : -1;
  if (code < 200 || code > 999) {
    PyErr_Clear();
    PyErr_Format(PyExc_ValueError, "send(): the status must be an int from 200 to 999, not %.100R",
                 status != nullptr ? status : Py_None);
    return false;
  }
  head_ = "Status: " + std::to_string(code) + "\r\n";
  bodiless_ = code == 204 || code == 304;
  if (PyObject* headers = PyDict_GetItemWithError(event, names->headers.get()); headers != nullptr) {
    const Ref iterator = Ref::take(PyObject_GetIter(headers));
    if (!iterator) return false;
    while (const Ref pair = Ref::take(PyIter_Next(iterator.get())))
      if (!write_header(pair.get(), code)) return false;
  }
  started_ = PyErr_Occurred() == nullptr;
  return started_;
}

bool AsgiExchange::write_header(PyObject* pair, long status) {
  const Ref both = Ref::take(PySequence_Fast(pair, "send(): each header must be a pair of bytes"));
  if (!both) return false;
  PyObject** items = PySequence_Fast_ITEMS(both.get());
  if (PySequence_Fast_GET_SIZE(both.get()) != 2 || !PyBytes_Check(items[0]) || !PyBytes_Check(items[1])) {
    PyErr_Format(PyExc_TypeError, "send(): each header must be a pair of bytes, not %.200R", pair);
    return false;
  }
  const auto name = bytes_of(items[0]), value = bytes_of(items[1]);
  if (!is_token(name) || !is_value(value) || equals_lower(name, "status")) {
    PyErr_Format(PyExc_ValueError, "send(): %.200R cannot be a header", pair);
    return false;
  }
  if (is_hop_by_hop(name)) return true;  // the server's business
  if (equals_lower(name, "content-length")) {
    std::uint64_t length = 0;
    const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), length);
    if (error != std::errc() || stop != value.data() + value.size() || value.empty() ||
        (content_length_ && *content_length_ != length)) {
      PyErr_Format(PyExc_ValueError, "send(): Content-Length must be one number, not %.100R", items[1]);
      return false;
    }
    if (content_length_ || status == 204) return true;
    content_length_ = length;
  }
  head_.append(name).append(": ").append(value).append("\r\n");
  return true;
}

bool AsgiExchange::take_body(PyObject* event) {
  if (!started_ || complete_) {
    PyErr_SetString(PyExc_RuntimeError,
                    complete_ ? "send(): the response is whole already" : "send(): a body before http.response.start");
    return false;
  }
  PyObject* body = PyDict_GetItemWithError(event, names->body.get());
  if (body != nullptr && !PyBytes_Check(body)) {
    PyErr_Format(PyExc_TypeError, "send(): the body must be bytes, not %.100s", Py_TYPE(body)->tp_name);
    return false;
  }
  PyObject* more = PyDict_GetItemWithError(event, names->more_body.get());
  const int goes_on = more != nullptr ? PyObject_IsTrue(more) : 0;
  if (goes_on < 0) return false;
  const auto bytes = body != nullptr ? bytes_of(body) : std::string_view();
  const bool carries = !bodiless_ && !head_only_;
  taken_ += bytes.size();
  if (carries && content_length_ && taken_ > *content_length_) {
    PyErr_SetString(PyExc_RuntimeError, "send(): more bytes than the response's Content-Length says");
    return false;
  }
  if (carries && content_length_ && goes_on == 0 && taken_ < *content_length_) {
    PyErr_SetString(PyExc_RuntimeError, "send(): fewer bytes than the response's Content-Length says");
    return false;
  }
  if (!head_sent_) {
    if (goes_on == 0 && !content_length_ && !bodiless_ && (!head_only_ || !bytes.empty()))
      head_.append("Content-Length: ").append(std::to_string(bytes.size())).append("\r\n");
    head_sent_ = true;
    channel_->put(protocol::Frame::head, 0, stream_, head_);
  }
  complete_ = goes_on == 0;
  if (carries) unsent_ += bytes;
  send_some();
  if (complete_ && unsent_.empty()) channel_->completed(stream_);
  if (complete_) wake(receivers);
  return true;
}

bool AsgiExchange::take_hint(PyObject* event) {
  PyObject* links = PyDict_GetItemWithError(event, names->links.get());
  const Ref iterator = Ref::take(links != nullptr ? PyObject_GetIter(links) : nullptr);
  if (!iterator) {
    if (PyErr_Occurred() == nullptr) PyErr_SetString(PyExc_ValueError, "send(): an early hint needs \"links\"");
    return false;
  }
  std::string head = "Status: 103\r\n";
  while (const Ref link = Ref::take(PyIter_Next(iterator.get()))) {
    if (!PyBytes_Check(link.get()) || !is_value(bytes_of(link.get()))) {
      PyErr_Format(PyExc_ValueError, "send(): %.200R cannot be a Link header", link.get());
      return false;
    }
    head.append("Link: ").append(bytes_of(link.get())).append("\r\n");
  }
  if (PyErr_Occurred() != nullptr) return false;
  if (!head_sent_) channel_->put(protocol::Frame::interim, 0, stream_, head);
  return true;
}

void AsgiExchange::send_some() {
  std::string_view rest = unsent_;
  while (!rest.empty() && (!windowed_ || window_ > 0)) {
    auto piece = rest.substr(0, protocol::kMostOutput);
    if (windowed_) piece = piece.substr(0, window_);
    if (windowed_) window_ -= piece.size();
    channel_->put(protocol::Frame::output, 0, stream_, piece);
    rest.remove_prefix(piece.size());
  }
  unsent_.erase(0, unsent_.size() - rest.size());
}

void AsgiExchange::on_window(std::uint32_t more) {
  window_ += more;
  if (unsent_.empty() || channel_ == nullptr) return;
  send_some();
  if (!unsent_.empty()) return;
  if (complete_) channel_->completed(stream_);
  wake(senders);
}

void AsgiExchange::end_early() {
  if (ended_ || channel_ == nullptr) return;
  ended_ = true;
  channel_->put(protocol::Frame::end, 0, stream_);
}

void AsgiExchange::finished(std::optional<Failure> failure) {
  if (channel_ == nullptr) return;
  std::uint8_t flags = protocol::kIdle;
  std::string text;
  if (!failure && !complete_) {
    text = started_ ? "the application returned before its response was whole"
                    : "the application returned without a response";
    if (!disconnected_) log(text);
  } else if (failure) {
    log_failure(*failure);
    text = std::move(failure->summary);
  }
  const bool whole = complete_ && unsent_.empty();
  if (!whole) flags |= head_sent_ ? protocol::kBroken : protocol::kFailed;
  if (!whole && timed_out_) flags |= protocol::kTimedOut;
  if (ended_)
    channel_->put(protocol::Frame::idle, 0, stream_);
  else
    channel_->put(protocol::Frame::end, flags, stream_, whole ? std::string_view() : std::string_view(text));
  leave();
}

void AsgiExchange::leave() {
  ended_ = true;
  deadline_ = 0;
  AsgiChannel* channel = std::exchange(channel_, nullptr);
  wake(receivers);
  wake(senders);
  task_ = {};
  channel->forget(stream_);
}

void AsgiExchange::log_failure(Failure& failure) {
  if (timed_out_) failure.summary = "the request took longer than the program's time limit";
  if (!failure.client_left && !(disconnected_ && failure.cancelled))
    log(timed_out_ ? failure.summary + "\n" + failure.traceback : failure.traceback);
}

// One frame a line, before what was said of the end.
void AsgiExchange::log(std::string_view text) {
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    channel_->put(protocol::Frame::log, LOG_ERR, stream_, line.substr(0, protocol::kMostOutput));
  }
}

}  // namespace fivefold::python
