#include "asgi_object.h"

#include <new>

#include "asgi_coroutine.h"

namespace fivefold::python {
namespace {

PyTypeObject* http_type = nullptr;
PyTypeObject* websocket_type = nullptr;

struct HttpObject {
  PyObject_HEAD AsgiExchange exchange;
};
struct WebSocketObject {
  PyObject_HEAD AsgiWebSocket exchange;
};
static_assert(alignof(AsgiExchange) == alignof(PyObject) && alignof(AsgiWebSocket) == alignof(PyObject),
              "an exchange begins at the same place in both");

PyObject* receive(PyObject* self, PyObject*) { return receive_coroutine(self).release(); }
PyObject* send(PyObject* self, PyObject* event) { return send_coroutine(self, event).release(); }

int traverse(PyObject* object, visitproc visit, void* arg) {
  AsgiExchange& self = AsgiExchange::of(object);
  Py_VISIT(Py_TYPE(object));
  for (const Ref& waiter : self.receivers) Py_VISIT(waiter.get());
  for (const Ref& waiter : self.senders) Py_VISIT(waiter.get());
  Py_VISIT(self.task());
  return 0;
}

int clear(PyObject* object) {
  AsgiExchange& self = AsgiExchange::of(object);
  std::exchange(self.receivers, {});
  std::exchange(self.senders, {});
  self.drop_task();
  return 0;
}

void destroy(PyObject* object) {
  PyTypeObject* own = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  AsgiExchange::of(object).~AsgiExchange();
  own->tp_free(object);
  Py_DECREF(own);
}

PyTypeObject* make(const char* name, std::size_t size) {
  static PyMethodDef methods[] = {{"receive", receive, METH_NOARGS, "the next event of the request"},
                                  {"send", send, METH_O, "an event of the response"},
                                  {nullptr, nullptr, 0, nullptr}};
  static PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(destroy)},
                                {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                                {Py_tp_clear, reinterpret_cast<void*>(clear)},
                                {Py_tp_methods, methods},
                                {0, nullptr}};
  PyType_Spec spec = {name, static_cast<int>(size), 0,
                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_HAVE_GC, slots};
  return make_type(spec);
}

}  // namespace

bool prepare_asgi_objects() {
  http_type = make("fivefold.Exchange", sizeof(HttpObject));
  websocket_type = make("fivefold.WebSocket", sizeof(WebSocketObject));
  return http_type != nullptr && websocket_type != nullptr;
}

Ref make_http_object() {
  Ref made = Ref::take(http_type->tp_alloc(http_type, 0));
  if (made) new (&reinterpret_cast<HttpObject*>(made.get())->exchange) AsgiExchange();
  return made;
}

Ref make_websocket_object() {
  Ref made = Ref::take(websocket_type->tp_alloc(websocket_type, 0));
  if (made) new (&reinterpret_cast<WebSocketObject*>(made.get())->exchange) AsgiWebSocket();
  return made;
}

AsgiExchange& AsgiExchange::of(PyObject* exchange) { return reinterpret_cast<HttpObject*>(exchange)->exchange; }

}  // namespace fivefold::python
