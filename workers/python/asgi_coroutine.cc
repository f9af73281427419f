#include "asgi_coroutine.h"

#include <optional>

#include "asgi.h"
#include "asgi_exchange.h"

namespace fivefold::python {
namespace {

PyTypeObject* type = nullptr;

enum class Kind : char { receive, send, run };

// One type for all three: what differs is what the next step is.
struct Coroutine {
  PyObject_HEAD Kind kind;
  bool stepped;  // has begun
  PyObject* exchange;
  PyObject* argument;  // the event of send, the scope of run
  PyObject* callable;  // the application
  PyObject* inner;     // what is awaited: a future's iterator, or the application's coroutine
};

Coroutine* self_of(PyObject* object) { return reinterpret_cast<Coroutine*>(object); }
AsgiExchange& exchange_of(Coroutine* self) { return AsgiExchange::of(self->exchange); }

bool is_done(const Ref& future) {
  const Ref done = Ref::take(PyObject_CallMethod(future.get(), "done", nullptr));
  if (!done) PyErr_Clear();
  return done.get() != Py_False;
}

// Waits for a future that joins `waiters`; those that were given up leave. False with an exception set.
bool wait(Coroutine* self, std::vector<Ref>& waiters, PyObject* loop) {
  std::erase_if(waiters, is_done);
  Ref future = Ref::take(PyObject_CallMethod(loop, "create_future", nullptr));
  if (!future) return false;
  Py_XSETREF(self->inner, Py_TYPE(future.get())->tp_as_async->am_await(future.get()));
  waiters.push_back(std::move(future));
  return self->inner != nullptr;
}

PySendResult step_receive(Coroutine* self, PyObject** result) {
  if (Ref event = exchange_of(self).next_event()) {
    *result = event.release();
    return PYGEN_RETURN;
  }
  if (PyErr_Occurred() == nullptr && wait(self, exchange_of(self).receivers, AsgiExchange::loop())) return PYGEN_NEXT;
  return PYGEN_ERROR;
}

PySendResult step_send(Coroutine* self, PyObject** result) {
  if (!self->stepped && !exchange_of(self).take(self->argument)) return PYGEN_ERROR;
  if (exchange_of(self).drained()) {
    *result = Py_NewRef(Py_None);
    return PYGEN_RETURN;
  }
  return wait(self, exchange_of(self).senders, AsgiExchange::loop()) ? PYGEN_NEXT : PYGEN_ERROR;
}

// Calls the application; `inner` is its coroutine then.
bool call(Coroutine* self) {
  const Ref receive = Ref::take(PyObject_GetAttrString(self->exchange, "receive"));
  const Ref send = Ref::take(PyObject_GetAttrString(self->exchange, "send"));
  if (!receive || !send) return false;
  PyObject* arguments[] = {self->argument, receive.get(), send.get()};
  Ref made = Ref::take(PyObject_Vectorcall(self->callable, arguments, 3, nullptr));
  if (!made) return false;
  if (PyCoro_CheckExact(made.get())) {
    self->inner = made.release();
    return true;
  }
  const auto* async = Py_TYPE(made.get())->tp_as_async;
  if (async == nullptr || async->am_await == nullptr) {
    PyErr_Format(PyExc_TypeError, "the application returned a %.100s and not a coroutine; is it an ASGI application?",
                 Py_TYPE(made.get())->tp_name);
    return false;
  }
  self->inner = async->am_await(made.get());
  return self->inner != nullptr;
}

// Nothing is raised into the loop: not even SystemExit may end it.
PySendResult conclude(Coroutine* self, std::optional<Failure> failure, PyObject** result) {
  Py_CLEAR(self->inner);
  exchange_of(self).finished(std::move(failure));
  *result = Py_NewRef(Py_None);
  return PYGEN_RETURN;
}

PySendResult finish_step(Coroutine* self, bool first, PySendResult outcome) {
  if (self->kind == Kind::run && first) AsgiExchange::worker()->task_stepped();
  return outcome;
}

PySendResult send_into(PyObject* object, PyObject* value, PyObject** result) {
  Coroutine* self = self_of(object);
  const bool first = !self->stepped;
  *result = nullptr;
  if (self->kind == Kind::run) {
    self->stepped = true;
    if (first && !call(self)) return finish_step(self, first, conclude(self, take_failure(), result));
    if (self->inner == nullptr) return conclude(self, std::nullopt, result);
    switch (PyIter_Send(self->inner, value, result)) {
      case PYGEN_NEXT:
        return finish_step(self, first, PYGEN_NEXT);
      case PYGEN_RETURN:
        Py_CLEAR(*result);
        return finish_step(self, first, conclude(self, std::nullopt, result));
      default:
        return finish_step(self, first, conclude(self, take_failure(), result));
    }
  }
  for (;;) {
    if (self->inner != nullptr) {
      const auto outcome = PyIter_Send(self->inner, value, result);
      if (outcome == PYGEN_NEXT) return outcome;
      Py_CLEAR(self->inner);
      if (outcome == PYGEN_ERROR) return outcome;
      Py_CLEAR(*result);
    }
    const auto outcome = self->kind == Kind::receive ? step_receive(self, result) : step_send(self, result);
    self->stepped = true;
    if (outcome != PYGEN_NEXT) return outcome;
    value = Py_None;  // into the future's iterator, which is new
  }
}

// The same as a method returns it: StopIteration with the value at the end.
PyObject* as_method(PySendResult outcome, PyObject* result) {
  if (outcome == PYGEN_NEXT) return result;
  if (outcome == PYGEN_RETURN) {
    _PyGen_SetStopIterationValue(result);
    Py_DECREF(result);
  }
  return nullptr;
}

PyObject* send(PyObject* object, PyObject* value) {
  PyObject* result = nullptr;
  const auto outcome = send_into(object, value, &result);
  return as_method(outcome, result);
}

PyObject* next(PyObject* object) { return send(object, Py_None); }

void set_exception(PyObject* arguments) {
  PyObject *kind = nullptr, *value = nullptr, *traceback = nullptr;
  if (!PyArg_UnpackTuple(arguments, "throw", 1, 3, &kind, &value, &traceback)) return;
  if (PyExceptionInstance_Check(kind))
    PyErr_SetObject(PyExceptionInstance_Class(kind), kind);
  else
    PyErr_SetObject(kind, value);
}

// An exception from outside, such as that of a cancelled task, is raised where the coroutine waits.
PyObject* throw_into(PyObject* object, PyObject* arguments) {
  Coroutine* self = self_of(object);
  const bool first = !self->stepped;
  self->stepped = true;
  PyObject* result = nullptr;
  if (self->inner != nullptr) {
    const Ref method = Ref::take(PyObject_GetAttrString(self->inner, "throw"));
    result = method ? PyObject_CallObject(method.get(), arguments) : nullptr;
  } else {
    set_exception(arguments);
  }
  if (result != nullptr) return result;  // it waits for something else
  if (self->kind == Kind::run) {
    std::optional<Failure> failure;
    if (_PyGen_FetchStopIterationValue(&result) == 0)
      Py_CLEAR(result);
    else
      failure = take_failure();
    return as_method(finish_step(self, first, conclude(self, std::move(failure), &result)), result);
  }
  Py_CLEAR(self->inner);
  return nullptr;
}

PyObject* close(PyObject* object, PyObject*) {
  Coroutine* self = self_of(object);
  const Ref inner = Ref::take(std::exchange(self->inner, nullptr));
  if (inner) {
    const Ref closed = Ref::take(PyObject_CallMethod(inner.get(), "close", nullptr));
    if (!closed) return nullptr;
  }
  Py_RETURN_NONE;
}

PyObject* await(PyObject* object) { return Py_NewRef(object); }
PyObject* await_method(PyObject* object, PyObject*) { return Py_NewRef(object); }

int traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self_of(object)->exchange);
  Py_VISIT(self_of(object)->argument);
  Py_VISIT(self_of(object)->callable);
  Py_VISIT(self_of(object)->inner);
  return 0;
}

int clear(PyObject* object) {
  Py_CLEAR(self_of(object)->exchange);
  Py_CLEAR(self_of(object)->argument);
  Py_CLEAR(self_of(object)->callable);
  Py_CLEAR(self_of(object)->inner);
  return 0;
}

void destroy(PyObject* object) {
  PyTypeObject* own = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  clear(object);
  own->tp_free(object);
  Py_DECREF(own);
}

Ref make(Kind kind, PyObject* exchange, PyObject* argument, PyObject* callable) {
  Ref made = Ref::take(type->tp_alloc(type, 0));
  if (!made) return made;
  Coroutine* self = self_of(made.get());
  self->kind = kind;
  self->stepped = false;
  self->exchange = Py_NewRef(exchange);
  self->argument = Py_XNewRef(argument);
  self->callable = Py_XNewRef(callable);
  self->inner = nullptr;
  return made;
}

}  // namespace

bool prepare_coroutines() {
  // With these methods it is a collections.abc.Coroutine: asyncio.create_task(receive()) works.
  static PyMethodDef methods[] = {{"send", send, METH_O, nullptr},
                                  {"throw", throw_into, METH_VARARGS, nullptr},
                                  {"close", close, METH_NOARGS, nullptr},
                                  {"__await__", await_method, METH_NOARGS, nullptr},
                                  {nullptr, nullptr, 0, nullptr}};
  static PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(destroy)},
                                {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                                {Py_tp_clear, reinterpret_cast<void*>(clear)},
                                {Py_tp_methods, methods},
                                {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
                                {Py_tp_iternext, reinterpret_cast<void*>(next)},
                                {Py_am_await, reinterpret_cast<void*>(await)},
                                {Py_am_send, reinterpret_cast<void*>(send_into)},
                                {0, nullptr}};
  static PyType_Spec spec = {"fivefold.Coroutine", sizeof(Coroutine), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_HAVE_GC, slots};
  type = make_type(spec);
  return type != nullptr;
}

Ref receive_coroutine(PyObject* exchange) { return make(Kind::receive, exchange, nullptr, nullptr); }
Ref send_coroutine(PyObject* exchange, PyObject* event) { return make(Kind::send, exchange, event, nullptr); }
Ref run_coroutine(PyObject* exchange, PyObject* application, PyObject* scope) {
  return make(Kind::run, exchange, scope, application);
}

}  // namespace fivefold::python
