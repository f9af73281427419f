#include "wsgi_input.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>

#include "failure.h"
#include "time_limit.h"

namespace fivefold::python {
namespace {

constexpr std::size_t kLineChunk = 8192;        // asked for at once while a line is looked for
constexpr Py_ssize_t kFirstAllocation = 65536;  // of read() of everything; doubled while it does not do
constexpr Py_ssize_t kAll = -1;

PyTypeObject* type = nullptr;

struct Input {
  PyObject_HEAD worker::Request* request;  // nullptr: nothing more to read
  bool over;                               // the request has ended
  std::string kept;                        // read from the channel, not yet by the application
  std::size_t at;                          // in `kept`

  std::string_view rest() const { return std::string_view(kept).substr(at); }
};

Input* self_of(PyObject* object) { return reinterpret_cast<Input*>(object); }

bool usable(const Input* self) {
  if (!self->over) return true;
  PyErr_SetString(PyExc_ValueError, "wsgi.input: the request is over");
  return false;
}

// Waits for at most `size` bytes of the body. 0 at its end, -1 with an exception.
Py_ssize_t receive(worker::Request& request, char* to, std::size_t size) {
  for (;;) {
    ssize_t count = 0;
    {
      const Unlocked unlocked;
      count = request.read_body(to, size, true);
    }
    if (count >= 0) return count;
    if (count == worker::Request::kInterrupted) {
      if (PyErr_CheckSignals() != 0 || TimeLimit::raise_pending()) return -1;
      continue;
    }
    set_client_left("wsgi.input: the client has left before the whole body had come");
    return -1;
  }
}

// At most `size` bytes into `to`: first what is kept, then the channel. 0 at the end of the body, -1 with an exception.
Py_ssize_t take(Input* self, char* to, std::size_t size) {
  const auto rest = self->rest();
  if (!rest.empty()) {
    const auto count = std::min(size, rest.size());
    std::memcpy(to, rest.data(), count);
    self->at += count;
    return static_cast<Py_ssize_t>(count);
  }
  if (self->request == nullptr || size == 0) return 0;
  const auto count = receive(*self->request, to, size);
  if (count == 0) self->request = nullptr;
  return count;
}

// More bytes into `kept`: 1, 0 at the end of the body, -1 with an exception.
int fill(Input* self) {
  if (self->request == nullptr) return 0;
  self->kept.erase(0, self->at);
  self->at = 0;
  const auto old = self->kept.size();
  self->kept.resize(old + kLineChunk);
  const auto count = receive(*self->request, self->kept.data() + old, kLineChunk);
  self->kept.resize(old + static_cast<std::size_t>(std::max<Py_ssize_t>(count, 0)));
  if (count == 0) self->request = nullptr;
  return count > 0 ? 1 : static_cast<int>(count);
}

Ref read_some(Input* self, Py_ssize_t size) {
  Py_ssize_t room = size == kAll ? kFirstAllocation : std::min(size, Py_ssize_t{1} << 20);
  PyObject* bytes = PyBytes_FromStringAndSize(nullptr, room);
  Py_ssize_t filled = 0;
  while (bytes != nullptr) {
    if (filled == room) {
      if (filled == size) break;
      room = size == kAll ? room * 2 : std::min(size, room * 2);
      if (_PyBytes_Resize(&bytes, room) != 0) break;
    }
    const auto count = take(self, PyBytes_AS_STRING(bytes) + filled, static_cast<std::size_t>(room - filled));
    if (count < 0) {
      Py_DECREF(bytes);
      return {};
    }
    if (count == 0) break;
    filled += count;
  }
  if (bytes != nullptr && filled != room) _PyBytes_Resize(&bytes, filled);
  return Ref::take(bytes);
}

// Up to and with the next line feed, at most `size` bytes of it; empty at the end of the body.
Ref read_line(Input* self, Py_ssize_t size) {
  std::size_t searched = 0;
  for (;;) {
    const auto rest = self->rest();
    const auto feed = rest.find('\n', searched);
    auto length = feed == std::string_view::npos ? rest.size() : feed + 1;
    const bool enough = size != kAll && length >= static_cast<std::size_t>(size);
    if (enough) length = static_cast<std::size_t>(size);
    if (!enough && feed == std::string_view::npos) {
      searched = rest.size();
      const int more = fill(self);
      if (more < 0) return {};
      if (more > 0) continue;
    }
    const auto line = self->rest().substr(0, length);
    self->at += length;
    return Ref::take(PyBytes_FromStringAndSize(line.data(), static_cast<Py_ssize_t>(line.size())));
  }
}

// The optional size of a method: absent, None and negative numbers are kAll. False with an exception.
bool size_argument(const char* method, PyObject* const* arguments, Py_ssize_t count, Py_ssize_t& size) {
  size = kAll;
  if (count > 1) {
    PyErr_Format(PyExc_TypeError, "%s() takes at most one argument (%zd given)", method, count);
    return false;
  }
  if (count == 0 || arguments[0] == Py_None) return true;
  size = PyNumber_AsSsize_t(arguments[0], PyExc_OverflowError);
  if (size == -1 && PyErr_Occurred() != nullptr) return false;
  if (size < 0) size = kAll;
  return true;
}

PyObject* read(PyObject* object, PyObject* const* arguments, Py_ssize_t count) {
  Py_ssize_t size = 0;
  if (!usable(self_of(object)) || !size_argument("read", arguments, count, size)) return nullptr;
  return read_some(self_of(object), size).release();
}

PyObject* readline(PyObject* object, PyObject* const* arguments, Py_ssize_t count) {
  Py_ssize_t size = 0;
  if (!usable(self_of(object)) || !size_argument("readline", arguments, count, size)) return nullptr;
  return read_line(self_of(object), size).release();
}

// Whole lines; with a hint, no further line once so many bytes have come.
PyObject* readlines(PyObject* object, PyObject* const* arguments, Py_ssize_t count) {
  Py_ssize_t hint = 0;
  if (!usable(self_of(object)) || !size_argument("readlines", arguments, count, hint)) return nullptr;
  Ref lines = Ref::take(PyList_New(0));
  Py_ssize_t total = 0;
  while (lines) {
    const Ref line = read_line(self_of(object), kAll);
    if (!line) return nullptr;
    total += PyBytes_GET_SIZE(line.get());
    if (PyBytes_GET_SIZE(line.get()) == 0) break;
    if (PyList_Append(lines.get(), line.get()) != 0) return nullptr;
    if (hint > 0 && total >= hint) break;
  }
  return lines.release();
}

PyObject* next(PyObject* object) {
  if (!usable(self_of(object))) return nullptr;
  Ref line = read_line(self_of(object), kAll);
  return line && PyBytes_GET_SIZE(line.get()) == 0 ? nullptr : line.release();
}

void destroy(PyObject* object) {
  self_of(object)->kept.~basic_string();
  PyTypeObject* own = Py_TYPE(object);
  own->tp_free(object);
  Py_DECREF(own);
}

template <class Function>
PyCFunction method(Function function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(function));
}

}  // namespace

bool WsgiInput::prepare() {
  static PyMethodDef methods[] = {
      {"read", method(read), METH_FASTCALL, "read([size]): the body, or so many bytes of it"},
      {"readline", method(readline), METH_FASTCALL, "readline([size]): the next line"},
      {"readlines", method(readlines), METH_FASTCALL, "readlines([hint]): a list of lines"},
      {nullptr, nullptr, 0, nullptr}};
  static PyType_Slot slots[] = {
      {Py_tp_dealloc, reinterpret_cast<void*>(destroy)},        {Py_tp_methods, methods},
      {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)}, {Py_tp_iternext, reinterpret_cast<void*>(next)},
      {Py_tp_doc, const_cast<char*>("The body of a request.")}, {0, nullptr}};
  static PyType_Spec spec = {"fivefold.Input", sizeof(Input), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                             slots};
  type = make_type(spec);
  return type != nullptr;
}

Ref WsgiInput::make(worker::Request* request) {
  Ref made = Ref::take(type->tp_alloc(type, 0));
  if (!made) return made;
  Input* self = self_of(made.get());
  self->request = request;
  self->over = false;
  new (&self->kept) std::string();
  self->at = 0;
  return made;
}

void WsgiInput::finish(PyObject* input) {
  self_of(input)->request = nullptr;
  self_of(input)->over = true;
}

}  // namespace fivefold::python
