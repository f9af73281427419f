#include "wsgi_exchange.h"

#include <structmember.h>

#include <array>
#include <charconv>
#include <cstddef>
#include <new>
#include <optional>

namespace fivefold::python {
namespace {

constexpr std::size_t kShort = 8192;  // bytes of a body that are sent without giving the GIL away

PyTypeObject* type = nullptr;

struct Object {
  PyObject_HEAD vectorcallfunc call;
  WsgiExchange exchange;
};

Object* free_object = nullptr;  // the last one given back, for the next request

PyObject* write(PyObject* self, PyObject* data) {
  WsgiExchange& exchange = WsgiExchange::of(self);
  if (exchange.is_over()) {
    PyErr_SetString(PyExc_RuntimeError, "write(): the request is over");
    return nullptr;
  }
  if (!PyBytes_Check(data)) {
    PyErr_Format(PyExc_TypeError, "write() takes bytes, not %.100s", Py_TYPE(data)->tp_name);
    return nullptr;
  }
  const Sent sent = exchange.send(bytes_of(data));
  if (sent == Sent::refused) return nullptr;
  if (exchange.was_cut()) {
    PyErr_SetString(PyExc_ValueError, "write(): more bytes than the response's Content-Length says");
    return nullptr;
  }
  Py_RETURN_NONE;
}

PyMethodDef write_method = {"write", write, METH_O, "write(data): sends bytes of the body"};

PyObject* start_response(PyObject* self, PyObject* const* arguments, std::size_t flagged, PyObject* names) {
  const auto count = PyVectorcall_NARGS(flagged);
  PyObject* exc_info = count == 3 ? arguments[2] : Py_None;
  const auto named = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
  if (named == 1 && count == 2 && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "exc_info") == 0)
    exc_info = arguments[2];
  else if (named != 0 || count < 2 || count > 3) {
    PyErr_SetString(PyExc_TypeError, "start_response takes a status, a list of headers and, perhaps, exc_info");
    return nullptr;
  }
  if (!WsgiExchange::of(self).start(arguments[0], arguments[1], exc_info)) return nullptr;
  return PyCFunction_New(&write_method, self);
}

void destroy(PyObject* object) {
  auto* self = reinterpret_cast<Object*>(object);
  PyTypeObject* own = Py_TYPE(object);
  if (free_object == nullptr) {
    free_object = self;
    return;
  }
  self->exchange.~WsgiExchange();
  own->tp_free(object);
  Py_DECREF(own);
}

}  // namespace

bool WsgiExchange::prepare() {
  static PyMemberDef members[] = {{"__vectorcalloffset__", T_PYSSIZET, offsetof(Object, call), READONLY, nullptr},
                                  {nullptr, 0, 0, 0, nullptr}};
  static PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(destroy)},
                                {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                                {Py_tp_members, members},
                                {Py_tp_doc, const_cast<char*>("start_response(status, headers, exc_info=None)")},
                                {0, nullptr}};
  static PyType_Spec spec = {"fivefold.StartResponse", sizeof(Object), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_HAVE_VECTORCALL,
                             slots};
  type = make_type(spec);
  return type != nullptr;
}

Ref WsgiExchange::make(worker::Request& request) {
  Object* made = std::exchange(free_object, nullptr);
  if (made != nullptr) {
    PyObject_Init(reinterpret_cast<PyObject*>(made), type);
    Py_DECREF(type);  // it kept the reference to its type that PyObject_Init takes once more
    WsgiHead head = std::move(made->exchange.head_);
    made->exchange = WsgiExchange();
    head.clear();
    made->exchange.head_ = std::move(head);
  } else {
    made = reinterpret_cast<Object*>(type->tp_alloc(type, 0));
    if (made == nullptr) return {};
    made->call = start_response;
    new (&made->exchange) WsgiExchange();
  }
  made->exchange.request_ = &request;
  return Ref::take(reinterpret_cast<PyObject*>(made));
}

WsgiExchange& WsgiExchange::of(PyObject* exchange) { return reinterpret_cast<Object*>(exchange)->exchange; }

bool WsgiExchange::start(PyObject* status, PyObject* headers, PyObject* exc_info) {
  if (request_ == nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "start_response: the request is over");
    return false;
  }
  if (exc_info != Py_None) {
    if (!PyTuple_Check(exc_info) || PyTuple_GET_SIZE(exc_info) != 3) {
      PyErr_Format(PyExc_TypeError, "start_response: exc_info must be what sys.exc_info() returns, not %.100s",
                   Py_TYPE(exc_info)->tp_name);
      return false;
    }
    if (head_sent_) {
      // Too late for another head: the application's own error goes on (PEP 3333, "Error Handling").
      PyErr_Restore(Py_NewRef(PyTuple_GET_ITEM(exc_info, 0)), Py_NewRef(PyTuple_GET_ITEM(exc_info, 1)),
                    Py_NewRef(PyTuple_GET_ITEM(exc_info, 2)));
      return false;
    }
  } else if (started_) {
    PyErr_SetString(PyExc_RuntimeError, "start_response was called before; a second call needs exc_info");
    return false;
  }
  started_ = head_.write(status, headers);
  return started_;
}

void WsgiExchange::send_head() {
  if (head_sent_) return;
  head_sent_ = true;
  request_->head(head_.bytes);
}

Sent WsgiExchange::send(std::string_view block) {
  if (!started_) {
    PyErr_SetString(PyExc_RuntimeError, "the application gave bytes of a body before it had called start_response");
    return Sent::refused;
  }
  if (block.empty()) return Sent::more;
  worker::Request& request = *request_;  // the application's threads may run from here on
  send_head();
  if (!carries_body()) {
    const Unlocked unlocked;
    request.flush();
    return Sent::enough;
  }
  if (head_.content_length && block.size() > *head_.content_length - sent_) {
    cut_ = true;
    block = block.substr(0, *head_.content_length - sent_);
  }
  sent_ += block.size();
  const bool complete = head_.content_length && sent_ == *head_.content_length;
  bool wanted = true;
  {
    const Unlocked unlocked;
    request.write(block);
    // Complete: it leaves as a whole, and what the application still does delays nobody.
    if (complete)
      request.finish();
    else
      wanted = request.flush();
  }
  return cut_ || !wanted ? Sent::enough : Sent::more;
}

Sent WsgiExchange::send_all(PyObject* const* blocks, Py_ssize_t count) {
  if (!started_) {
    PyErr_SetString(PyExc_RuntimeError, "the application returned a body and has not called start_response");
    return Sent::refused;
  }
  std::uint64_t length = 0;
  for (Py_ssize_t i = 0; i < count; ++i) length += static_cast<std::uint64_t>(PyBytes_GET_SIZE(blocks[i]));
  // Of an empty answer to HEAD nobody knows how long that to GET would be.
  const bool known = length != 0 || !request_->head_only();
  if (!head_sent_ && !head_.content_length && head_.has_body() && known) {
    std::array<char, 24> digits;
    const auto stop = std::to_chars(digits.begin(), digits.end(), length).ptr;
    head_.bytes.append("Content-Length: ").append(digits.data(), stop).append("\r\n");
  }
  send_head();
  if (!carries_body()) return Sent::enough;
  worker::Request& request = *request_;  // the application's threads may run from here on
  // What is short as a whole is only gathered, until the end of the request.
  std::optional<Unlocked> unlocked;
  if (length >= kShort) unlocked.emplace();
  for (Py_ssize_t i = 0; i < count && !cut_; ++i) {
    auto block = bytes_of(blocks[i]);
    if (head_.content_length && block.size() > *head_.content_length - sent_) {
      cut_ = true;
      block = block.substr(0, *head_.content_length - sent_);
    }
    sent_ += block.size();
    request.write(block);
  }
  return Sent::enough;
}

bool WsgiExchange::end() {
  if (!started_) {
    PyErr_SetString(PyExc_RuntimeError, "the application has not called start_response");
    return false;
  }
  send_head();
  return true;
}

std::uint64_t WsgiExchange::missing() const {
  if (!head_.content_length || request_ == nullptr || !carries_body()) return 0;
  return *head_.content_length - sent_;
}

}  // namespace fivefold::python
