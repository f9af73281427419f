#include "wsgi.h"

#include <sys/syslog.h>

#include <memory>

#include "time_limit.h"
#include "wsgi_errors.h"
#include "wsgi_file.h"
#include "wsgi_input.h"

namespace fivefold::python {
namespace {

bool set(PyObject* dict, const char* key, Ref value) {
  if (!value) return false;
  const Ref name = Ref::take(PyUnicode_InternFromString(key));
  return name && PyDict_SetItem(dict, name.get(), value.get()) == 0;
}

Ref boolean(bool value) { return Ref::share(value ? Py_True : Py_False); }

// What every environ has. Variables of a request replace what is empty here.
Ref base_environ(PyObject* errors, PyObject* no_body, bool multithread) {
  Ref dict = Ref::take(PyDict_New());
  const bool whole =
      dict && set(dict.get(), "wsgi.version", Ref::take(Py_BuildValue("(ii)", 1, 0))) &&
      set(dict.get(), "wsgi.errors", Ref::share(errors)) && set(dict.get(), "wsgi.input", Ref::share(no_body)) &&
      set(dict.get(), "wsgi.input_terminated", boolean(true)) &&
      set(dict.get(), "wsgi.multithread", boolean(multithread)) &&
      set(dict.get(), "wsgi.multiprocess", boolean(true)) && set(dict.get(), "wsgi.run_once", boolean(false)) &&
      set(dict.get(), "wsgi.file_wrapper", Ref::share(WsgiFile::type())) &&
      set(dict.get(), "SCRIPT_NAME", latin1("")) && set(dict.get(), "PATH_INFO", latin1("")) &&
      set(dict.get(), "QUERY_STRING", latin1(""));
  return whole ? std::move(dict) : Ref();
}

// A block of a body must be bytes; the usual mistakes are told by name.
bool check_block(PyObject* block, PyObject* result) {
  if (PyBytes_Check(block)) return true;
  if (PyUnicode_Check(result))
    PyErr_SetString(PyExc_TypeError, "the application returned a str; return a list of bytes: [text.encode()]");
  else if (PyBytes_Check(result))
    PyErr_SetString(PyExc_TypeError, "the application returned bytes; return a list of them: [data]");
  else
    PyErr_Format(PyExc_TypeError, "the application's body has a %.100s where bytes belong%s", Py_TYPE(block)->tp_name,
                 PyUnicode_Check(block) ? "; encode it: text.encode()" : "");
  return false;
}

}  // namespace

bool Wsgi::prepare() {
  return WsgiInput::prepare() && WsgiErrors::prepare() && WsgiFile::prepare() && WsgiExchange::prepare();
}

std::unique_ptr<Wsgi> Wsgi::make(PyObject* application, Threads threads) {
  Ref errors = WsgiErrors::make();
  Ref no_body = WsgiInput::make(nullptr);
  if (!errors || !no_body) return {};
  const Ref base = base_environ(errors.get(), no_body.get(), threads == Threads::several);
  if (!base) return {};
  return std::unique_ptr<Wsgi>(new Wsgi(application, base.get(), std::move(errors), std::move(no_body), threads));
}

Wsgi::Wsgi(PyObject* application, PyObject* base, Ref errors, Ref no_body, Threads threads)
    : application_(Ref::share(application)),
      environ_(base),
      errors_(std::move(errors)),
      no_body_(std::move(no_body)),
      input_key_(Ref::take(PyUnicode_InternFromString("wsgi.input"))),
      close_name_(Ref::take(PyUnicode_InternFromString("close"))),
      threads_(threads) {}

worker::Outcome Wsgi::serve(worker::Request& request) {
  worker::Outcome outcome;
  WsgiErrors::attach(errors_.get(), &request);
  const Ref start_response = WsgiExchange::make(request);
  std::optional<Failure> failure;
  bool begun = false;
  if (!start_response) {
    failure = take_failure();
  } else {
    WsgiExchange& exchange = WsgiExchange::of(start_response.get());
    if (threads_ == Threads::one) TimeLimit::begin(request.time_limit_ms());
    failure = answer(request, exchange, start_response.get());
    if (threads_ == Threads::one) TimeLimit::end();
    if (const auto missing = exchange.missing(); !failure && missing != 0 && !request.aborted()) {
      outcome.faults = worker::protocol::kBroken;
      outcome.text = "the application's body is " + std::to_string(missing) + " bytes shorter than its Content-Length";
      request.log(LOG_ERR, outcome.text);
    }
    begun = exchange.head_sent();
    exchange.finish();
  }
  if (failure) {
    if (!failure->client_left) request.log(LOG_ERR, failure->traceback);
    outcome.text = std::move(failure->summary);
    outcome.faults = begun ? worker::protocol::kBroken : worker::protocol::kFailed;
    if (failure->timed_out) outcome.faults |= worker::protocol::kTimedOut;
  }
  WsgiErrors::attach(errors_.get(), nullptr);
  return outcome;
}

std::optional<Failure> Wsgi::answer(worker::Request& request, WsgiExchange& exchange, PyObject* start_response) {
  const Ref environ = environ_.build(request.variables());
  if (!environ) return take_failure();
  Ref input;
  if (request.body_length() != 0) {
    input = WsgiInput::make(&request);
    if (!input || PyDict_SetItem(environ.get(), input_key_.get(), input.get()) != 0) return take_failure();
  }
  PyObject* arguments[] = {environ.get(), start_response};
  const Ref result = Ref::take(PyObject_Vectorcall(application_.get(), arguments, 2, nullptr));
  std::optional<Failure> failure;
  if (!result || !send_result(result.get(), exchange)) failure = take_failure();
  // A part of a file is often sent as the whole file and the part's length.
  if (exchange.was_cut() && !failure && !WsgiFile::is(result.get()))
    request.log(LOG_WARNING, "the application's body is longer than its Content-Length; the rest was left out");
  if (result) close(result.get(), request);
  if (input) WsgiInput::finish(input.get());
  return failure;
}

bool Wsgi::send_result(PyObject* result, WsgiExchange& exchange) {
  if (PyList_CheckExact(result) || PyTuple_CheckExact(result)) {
    // A list of several may be changed by another thread while one of them is sent.
    const Ref fixed = PyList_CheckExact(result) && PyList_GET_SIZE(result) > 1 ? Ref::take(PyList_AsTuple(result))
                                                                               : Ref::share(result);
    if (!fixed) return false;
    PyObject** blocks = PySequence_Fast_ITEMS(fixed.get());
    const auto count = PySequence_Fast_GET_SIZE(fixed.get());
    for (Py_ssize_t i = 0; i < count; ++i)
      if (!check_block(blocks[i], result)) return false;
    if (count != 1) return exchange.send_all(blocks, count) != Sent::refused;
    const Ref only = Ref::share(blocks[0]);
    PyObject* block = only.get();
    return exchange.send_all(&block, 1) != Sent::refused;
  }
  if (WsgiFile::is(result) && WsgiFile::send(result, exchange)) return PyErr_Occurred() == nullptr && exchange.end();
  return send_blocks(result, exchange);
}

bool Wsgi::send_blocks(PyObject* result, WsgiExchange& exchange) {
  const Ref iterator = Ref::take(PyObject_GetIter(result));
  if (!iterator) {
    if (PyErr_ExceptionMatches(PyExc_TypeError) != 0)
      PyErr_Format(PyExc_TypeError, "the application returned a %.100s; it must return an iterable of bytes",
                   Py_TYPE(result)->tp_name);
    return false;
  }
  while (const Ref block = Ref::take(PyIter_Next(iterator.get()))) {
    if (!check_block(block.get(), result)) return false;
    const Sent sent = exchange.send(bytes_of(block.get()));
    if (sent == Sent::refused) return false;
    if (sent == Sent::enough) return true;
  }
  return PyErr_Occurred() == nullptr && exchange.end();
}

// Always, however the response ended (PEP 3333: "the server must call that method upon completion").
void Wsgi::close(PyObject* result, worker::Request& request) {
  if (PyList_CheckExact(result) || PyTuple_CheckExact(result)) return;
  PyObject* method = nullptr;
  if (_PyObject_LookupAttr(result, close_name_.get(), &method) < 0)
    return log_failure(request, "close() of the response");
  const Ref close = Ref::take(method);
  if (!close) return;
  const Ref done = Ref::take(PyObject_CallNoArgs(close.get()));
  if (!done) log_failure(request, "close() of the response");
}

}  // namespace fivefold::python
