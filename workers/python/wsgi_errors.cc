#include "wsgi_errors.h"

#include <sys/syslog.h>

#include <cstdio>
#include <new>
#include <string>

namespace fivefold::python {
namespace {

constexpr std::size_t kMostLine = 64 * 1024;  // a longer one goes to the log in pieces

PyTypeObject* type = nullptr;

struct Errors {
  PyObject_HEAD worker::Request* request;
  std::string line;  // has not ended yet
};

Errors* self_of(PyObject* object) { return reinterpret_cast<Errors*>(object); }

void emit(Errors* self, std::string_view lines) {
  if (self->request != nullptr)
    self->request->log(LOG_ERR, lines);
  else
    std::fprintf(stderr, "%.*s\n", static_cast<int>(lines.size()), lines.data());
}

void flush(Errors* self) {
  if (!self->line.empty()) emit(self, self->line);
  self->line.clear();
}

bool put(Errors* self, PyObject* text) {
  if (!PyUnicode_Check(text)) {
    PyErr_Format(PyExc_TypeError, "wsgi.errors takes str, not %.100s", Py_TYPE(text)->tp_name);
    return false;
  }
  self->line += to_text(text);
  if (const auto feed = self->line.rfind('\n'); feed != std::string::npos) {
    emit(self, std::string_view(self->line).substr(0, feed));
    self->line.erase(0, feed + 1);
  }
  if (self->line.size() > kMostLine) flush(self);
  return true;
}

PyObject* write(PyObject* object, PyObject* text) {
  return put(self_of(object), text) ? PyLong_FromSsize_t(PyUnicode_GET_LENGTH(text)) : nullptr;
}

PyObject* writelines(PyObject* object, PyObject* lines) {
  const Ref iterator = Ref::take(PyObject_GetIter(lines));
  if (!iterator) return nullptr;
  while (const Ref line = Ref::take(PyIter_Next(iterator.get())))
    if (!put(self_of(object), line.get())) return nullptr;
  if (PyErr_Occurred() != nullptr) return nullptr;
  Py_RETURN_NONE;
}

// The log takes lines: one that has not ended stays until it has, or until the request is over.
PyObject* flush_method(PyObject*, PyObject*) { Py_RETURN_NONE; }

void destroy(PyObject* object) {
  self_of(object)->line.~basic_string();
  PyTypeObject* own = Py_TYPE(object);
  own->tp_free(object);
  Py_DECREF(own);
}

}  // namespace

bool WsgiErrors::prepare() {
  static PyMethodDef methods[] = {{"write", write, METH_O, "write(text): to the program's log"},
                                  {"writelines", writelines, METH_O, "writelines(lines)"},
                                  {"flush", flush_method, METH_NOARGS, "flush()"},
                                  {nullptr, nullptr, 0, nullptr}};
  static PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(destroy)},
                                {Py_tp_methods, methods},
                                {Py_tp_doc, const_cast<char*>("The program's log.")},
                                {0, nullptr}};
  static PyType_Spec spec = {"fivefold.Errors", sizeof(Errors), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
  type = make_type(spec);
  return type != nullptr;
}

Ref WsgiErrors::make() {
  Ref made = Ref::take(type->tp_alloc(type, 0));
  if (!made) return made;
  self_of(made.get())->request = nullptr;
  new (&self_of(made.get())->line) std::string();
  return made;
}

void WsgiErrors::attach(PyObject* errors, worker::Request* request) {
  Errors* self = self_of(errors);
  flush(self);
  self->request = request;
}

}  // namespace fivefold::python
