#pragma once
// A WSGI application (PEP 3333) and its requests, one after the other.
#include <memory>
#include <optional>

#include "channel/request.h"
#include "environ.h"
#include "failure.h"
#include "python_object.h"
#include "wsgi_exchange.h"

namespace fivefold::python {

class Wsgi {
 public:
  // Whether others answer requests in this process at the same time: each thread has a Wsgi of its own then, and
  // somebody else sees to the time limits.
  enum class Threads : char { one, several };

  // In the zygote: makes the types. False with an exception set when that fails. Once, before the others.
  static bool prepare();
  // Makes the part of the environ that is the same for all requests. Null with an exception set when that fails.
  // `application` is shared.
  static std::unique_ptr<Wsgi> make(PyObject* application, Threads threads);

  PyObject* application() const { return application_.get(); }

  // Answers one request. Needs the GIL and gives it away while it waits.
  worker::Outcome serve(worker::Request& request);

 private:
  Wsgi(PyObject* application, PyObject* base, Ref errors, Ref no_body, Threads threads);

  std::optional<Failure> answer(worker::Request& request, WsgiExchange& exchange, PyObject* start_response);
  bool send_result(PyObject* result, WsgiExchange& exchange);
  bool send_blocks(PyObject* result, WsgiExchange& exchange);
  void close(PyObject* result, worker::Request& request);

  Ref application_;
  Environ environ_;
  Ref errors_, no_body_;
  Ref input_key_, close_name_;
  const Threads threads_;
};

}  // namespace fivefold::python
