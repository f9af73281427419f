#include "time_limit.h"

#include <csignal>

#include "channel/deadline.h"

namespace fivefold::python {
namespace {

worker::Deadline deadline;
PyObject* exceeded = nullptr;  // the exception's class

// Set in the signal handler; looked at by the Python handler, so that one which runs late hits no other request.
volatile std::sig_atomic_t expired = 0;

// Python's name for the interruption. No such signal is ever sent.
int interruption() { return SIGRTMAX - 1; }

// Async-signal-safe: the interpreter calls the Python handler soon, and again where it waits.
void on_expired() {
  expired = 1;
  PyErr_SetInterruptEx(interruption());
}

PyObject* raise(PyObject*, PyObject*) {
  if (expired == 0) Py_RETURN_NONE;
  expired = 0;
  PyErr_SetNone(exceeded);
  return nullptr;
}

PyObject* text(PyObject*, PyObject*) {
  return PyUnicode_FromString("the request took longer than the program's time limit");
}

PyMethodDef text_method = {"__str__", text, METH_NOARGS, nullptr};

PyMethodDef raise_method = {"raise_time_limit", raise, METH_VARARGS, nullptr};

}  // namespace

bool TimeLimit::prepare() {
  // Not an Exception: `except Exception` of a framework must not take it for an error of the application.
  const Ref names = Ref::take(PyDict_New());
  const Ref text = Ref::take(PyCFunction_New(&text_method, nullptr));
  if (!names || !text || PyDict_SetItemString(names.get(), "__str__", text.get()) != 0) return false;
  exceeded = PyErr_NewExceptionWithDoc("fivefold.TimeLimitExceeded", "The request took longer than it may.",
                                       PyExc_BaseException, names.get());
  const Ref module = Ref::take(PyImport_ImportModule("signal"));
  const Ref handler = Ref::take(PyCFunction_New(&raise_method, nullptr));
  if (exceeded == nullptr || !module || !handler) return false;
  return static_cast<bool>(Ref::take(PyObject_CallMethod(module.get(), "signal", "iO", interruption(), handler.get())));
}

bool TimeLimit::start() { return deadline.start(on_expired, kRepeat); }

void TimeLimit::begin(std::uint32_t milliseconds) {
  if (milliseconds != 0) deadline.set(milliseconds);
}

void TimeLimit::end() {
  deadline.clear();
  expired = 0;
}

void TimeLimit::raise_in(unsigned long thread) { PyThreadState_SetAsyncExc(thread, exceeded); }

bool TimeLimit::raise_pending() {
  const Ref ordered = Ref::take(std::exchange(PyThreadState_Get()->async_exc, nullptr));
  if (ordered) PyErr_SetNone(ordered.get());
  return static_cast<bool>(ordered);
}

void TimeLimit::drop_pending() { Ref::take(std::exchange(PyThreadState_Get()->async_exc, nullptr)); }

bool TimeLimit::is_exceeded(PyObject* type) { return PyErr_GivenExceptionMatches(type, exceeded) != 0; }

}  // namespace fivefold::python
