#include "failure.h"

#include <sys/syslog.h>

#include <cstring>

#include "time_limit.h"

namespace fivefold::python {
namespace {

PyObject* client_left = nullptr;  // the exception's class

std::string formatted(PyObject* type, PyObject* value, PyObject* traceback) {
  const Ref module = Ref::take(PyImport_ImportModule("traceback"));
  const Ref lines = module ? Ref::take(PyObject_CallMethod(module.get(), "format_exception", "OOO", type, value,
                                                           traceback != nullptr ? traceback : Py_None))
                           : Ref();
  const Ref nothing = Ref::take(PyUnicode_FromStringAndSize(nullptr, 0));
  const Ref text = lines && nothing ? Ref::take(PyUnicode_Join(nothing.get(), lines.get())) : Ref();
  if (!text) {
    PyErr_Clear();
    return std::string(reinterpret_cast<PyTypeObject*>(type)->tp_name) + ": " + to_text(value) + "\n";
  }
  return to_text(text.get());
}

// "view() in /srv/shop/views.py, line 12": where it was raised.
std::string place_of(PyObject* traceback) {
  if (traceback == nullptr || !PyTraceBack_Check(traceback)) return {};
  auto* last = reinterpret_cast<PyTracebackObject*>(traceback);
  while (last->tb_next != nullptr) last = last->tb_next;
  const Ref code = Ref::take(reinterpret_cast<PyObject*>(PyFrame_GetCode(last->tb_frame)));
  const auto* known = reinterpret_cast<PyCodeObject*>(code.get());
  const Ref line = Ref::take(PyObject_GetAttrString(traceback, "tb_lineno"));
  if (!line) PyErr_Clear();
  return to_text(known->co_name) + "() in " + to_text(known->co_filename) +
         (line ? ", line " + to_text(line.get()) : std::string());
}

}  // namespace

std::string to_text(PyObject* object) {
  const Ref text = Ref::take(PyUnicode_Check(object) ? Py_NewRef(object) : PyObject_Str(object));
  if (!text) {
    PyErr_Clear();
    return "(a value that cannot be shown)";
  }
  Py_ssize_t size = 0;
  if (const char* utf8 = PyUnicode_AsUTF8AndSize(text.get(), &size); utf8 != nullptr)
    return {utf8, static_cast<std::size_t>(size)};
  PyErr_Clear();
  const Ref escaped = Ref::take(PyUnicode_AsEncodedString(text.get(), "utf-8", "backslashreplace"));
  if (escaped) return std::string(bytes_of(escaped.get()));
  PyErr_Clear();
  return "(text that cannot be shown)";
}

bool prepare_failures() {
  client_left = PyErr_NewExceptionWithDoc("fivefold.ClientLeft", "The client has left before its request was whole.",
                                          PyExc_ConnectionResetError, nullptr);
  return client_left != nullptr;
}

void set_client_left(const char* message) { PyErr_SetString(client_left, message); }

Failure take_failure() {
  PyObject *raw_type = nullptr, *raw_value = nullptr, *raw_traceback = nullptr;
  PyErr_Fetch(&raw_type, &raw_value, &raw_traceback);
  PyErr_NormalizeException(&raw_type, &raw_value, &raw_traceback);
  const Ref type = Ref::take(raw_type), value = Ref::take(raw_value), traceback = Ref::take(raw_traceback);
  Failure failure;
  if (!type || !value) {
    failure.summary = "SystemError: a call failed without an exception";
    failure.traceback = failure.summary + "\n";
    return failure;
  }
  failure.timed_out = TimeLimit::is_exceeded(type.get());
  failure.client_left = PyErr_GivenExceptionMatches(type.get(), client_left) != 0;
  failure.cancelled = std::strcmp(reinterpret_cast<PyTypeObject*>(type.get())->tp_name, "CancelledError") == 0;
  failure.traceback = formatted(type.get(), value.get(), traceback.get());

  failure.summary = reinterpret_cast<PyTypeObject*>(type.get())->tp_name;
  failure.message = to_text(value.get());
  if (!failure.message.empty())
    failure.summary += ": " + failure.message.substr(0, failure.message.find('\n')).substr(0, 500);
  if (const auto place = place_of(traceback.get()); !place.empty()) failure.summary += " (" + place + ")";
  return failure;
}

void log_failure(worker::Request& request, const char* what) {
  const Failure failure = take_failure();
  request.log(LOG_ERR, std::string(what) + " failed:\n" + failure.traceback);
}

}  // namespace fivefold::python
