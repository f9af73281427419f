#include "asgi.h"

#include <unistd.h>

#include <cstdio>
#include <ctime>

#include "asgi_exchange.h"

namespace fivefold::python {
namespace {

std::int64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

template <class Object>
Object& in(PyObject* capsule) {
  return *static_cast<Object*>(PyCapsule_GetPointer(capsule, nullptr));
}

PyObject* none_if(bool done) { return done ? Py_NewRef(Py_None) : nullptr; }

PyObject* readable(PyObject* self, PyObject*) { return none_if(in<AsgiChannel>(self).on_readable()); }
PyObject* flush(PyObject* self, PyObject*) { return none_if(in<AsgiChannel>(self).flush()); }

PyObject* check(PyObject* self, PyObject*) {
  in<Asgi>(self).check_time_limits();
  return none_if(PyErr_Occurred() == nullptr);
}

PyObject* attach(PyObject* self, PyObject* arguments) {
  PyObject *loop = nullptr, *state = nullptr;
  if (PyArg_ParseTuple(arguments, "OO", &loop, &state) == 0) return nullptr;
  Asgi& worker = in<Asgi>(self);
  return worker.attach(loop, state) ? Py_NewRef(worker.leaver()) : nullptr;
}

PyObject* leave(PyObject* self, PyObject*) { return none_if(in<Asgi>(self).leave()); }

PyMethodDef readable_def = {"readable", readable, METH_NOARGS, nullptr};
PyMethodDef flush_def = {"flush", flush, METH_NOARGS, nullptr};
PyMethodDef check_def = {"check_time_limits", check, METH_NOARGS, nullptr};
PyMethodDef leave_def = {"leave", leave, METH_NOARGS, nullptr};
PyMethodDef attach_def = {"attach", attach, METH_VARARGS, nullptr};

Ref callable(PyMethodDef& definition, void* object) {
  const Ref capsule = Ref::take(PyCapsule_New(object, nullptr, nullptr));
  return capsule ? Ref::take(PyCFunction_New(&definition, capsule.get())) : Ref();
}

}  // namespace

std::unique_ptr<Asgi> Asgi::prepare(PyObject* application, PyObject* loop_module) {
  auto made = std::make_unique<Asgi>();
  made->application_ = Ref::share(application);
  made->loop_module_ = Ref::share(loop_module);
  const Ref asyncio = Ref::take(PyImport_ImportModule("asyncio"));
  made->task_type_ = asyncio ? Ref::take(PyObject_GetAttrString(asyncio.get(), "Task")) : Ref();
  if (!made->task_type_ || !made->scope_.prepare() || !AsgiExchange::prepare() || !AsgiWebSocket::prepare()) return {};
  return made;
}

void Asgi::leave_if_forked() const {
  if (worker_channels_->forked()) _exit(0);
}

bool Asgi::run(worker::Channels& channels) {
  AsgiExchange::attach(this);
  worker_channels_ = &channels;
  for (const int descriptor : channels.descriptors()) {
    auto channel = std::make_unique<AsgiChannel>(*this, descriptor);
    channel->readable = callable(readable_def, channel.get());
    channel->writable = callable(flush_def, channel.get());
    channels_.push_back(std::move(channel));
  }
  checker_ = callable(check_def, this);
  leaver_ = callable(leave_def, this);
  const Ref attached = callable(attach_def, this);
  const Ref done = Ref::take(PyObject_CallMethod(loop_module_.get(), "run", "OO", application_.get(), attached.get()));
  if (!done) {
    const Failure failure = take_failure();
    std::fprintf(stderr, "%s", failure.traceback.c_str());
  }
  return done && done.get() == Py_True;
}

bool Asgi::attach(PyObject* loop, PyObject* state) {
  loop_ = Ref::share(loop);
  scope_.set_state(state);
  call_soon_ = Ref::take(PyObject_GetAttrString(loop, "call_soon"));
  if (!call_soon_) return false;
  for (const auto& channel : channels_) {
    const Ref added =
        Ref::take(PyObject_CallMethod(loop, "add_reader", "iO", channel->descriptor(), channel->readable.get()));
    if (!added) return false;
    ++open_;
  }
  return true;
}

Ref Asgi::make_task(PyObject* coroutine) {
  static PyObject* const names = Py_BuildValue("(s)", "loop");
  PyObject* arguments[] = {coroutine, loop_.get()};
  return Ref::take(PyObject_Vectorcall(task_type_.get(), arguments, 1, names));
}

void Asgi::task_stepped() {
  if (fresh_ > 0 && --fresh_ > 0) return;
  for (const auto& channel : channels_)
    if (!channel->flush()) PyErr_WriteUnraisable(loop_.get());
}

bool Asgi::call_soon(AsgiChannel& channel) {
  PyObject* arguments[] = {channel.writable.get()};
  const Ref handle = Ref::take(PyObject_Vectorcall(call_soon_.get(), arguments, 1, nullptr));
  if (!handle) PyErr_WriteUnraisable(loop_.get());
  return static_cast<bool>(handle);
}

bool Asgi::watch_writing(AsgiChannel& channel, bool watch) {
  const Ref done = Ref::take(
      watch ? PyObject_CallMethod(loop_.get(), "add_writer", "iO", channel.descriptor(), channel.writable.get())
            : PyObject_CallMethod(loop_.get(), "remove_writer", "i", channel.descriptor()));
  return static_cast<bool>(done);
}

void Asgi::channel_ended(AsgiChannel& channel) {
  --open_;
  for (const char* method : {"remove_reader", "remove_writer"}) {
    const Ref done = Ref::take(PyObject_CallMethod(loop_.get(), method, "i", channel.descriptor()));
    if (!done) PyErr_WriteUnraisable(loop_.get());
  }
}

void Asgi::look_whether_done() {
  if (open_ > 0) return;
  for (const auto& channel : channels_)
    if (!channel->idle()) return;
  if (!stop()) PyErr_WriteUnraisable(loop_.get());
}

bool Asgi::leave() {
  for (const auto& channel : channels_) {
    channel->tell_leaving();
    if (!channel->flush()) return false;
  }
  return stop();
}

bool Asgi::stop() { return static_cast<bool>(Ref::take(PyObject_CallMethod(loop_.get(), "stop", nullptr))); }

void Asgi::watch_deadline(std::int64_t deadline) {
  if (check_at_ != 0 && check_at_ <= deadline) return;
  check_at_ = deadline;
  const double seconds = static_cast<double>(deadline - now() + 1) / 1000;
  const Ref handle = Ref::take(PyObject_CallMethod(loop_.get(), "call_later", "dO", seconds, checker_.get()));
  if (!handle) PyErr_WriteUnraisable(loop_.get());
}

void Asgi::check_time_limits() {
  check_at_ = 0;
  std::int64_t next = 0;
  for (const auto& channel : channels_) channel->check_time_limits(now(), next);
  if (next != 0) watch_deadline(next);
}

}  // namespace fivefold::python
