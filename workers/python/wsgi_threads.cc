#include "wsgi_threads.h"

#include <fcntl.h>
#include <pythread.h>
#include <unistd.h>

#include <array>
#include <string>

#include "time_limit.h"

namespace fivefold::python {
namespace {

// The GIL in a thread that has given it away.
class Locked {
 public:
  Locked() : state_(PyGILState_Ensure()) {}
  ~Locked() { PyGILState_Release(state_); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

 private:
  PyGILState_STATE state_;
};

bool tell_python(int wakeup) {
  const Ref module = Ref::take(PyImport_ImportModule("signal"));
  return module && Ref::take(PyObject_CallMethod(module.get(), "set_wakeup_fd", "i", wakeup));
}

}  // namespace

WsgiThreads::WsgiThreads(PyObject* application, worker::Channels& channels, unsigned count)
    : application_(Ref::share(application)), channels_(channels), seats_(channels, count, *this, wakeup_.read) {}

WsgiThreads::Wakeup::Wakeup() {
  int ends[2] = {-1, -1};
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return;  // signals wait for the next one then
  read = ends[0];
  write = ends[1];
  if (!tell_python(write)) PyErr_WriteUnraisable(nullptr);
}

WsgiThreads::~WsgiThreads() {
  if (wakeup_.write < 0) return;
  if (!tell_python(-1)) PyErr_WriteUnraisable(nullptr);
  close(wakeup_.read);
  close(wakeup_.write);
}

// A thread as the application's own are: with a name, known to `threading`.
bool WsgiThreads::start(Place& place) {
  static PyMethodDef definition = {"serve", enter, METH_NOARGS, nullptr};
  place.wsgi = Wsgi::make(application_.get(), Wsgi::Threads::several);
  const Ref capsule = Ref::take(PyCapsule_New(&place, nullptr, nullptr));
  const Ref target = capsule ? Ref::take(PyCFunction_New(&definition, capsule.get())) : Ref();
  const Ref module = Ref::take(PyImport_ImportModule("threading"));
  const Ref type = module ? Ref::take(PyObject_GetAttrString(module.get(), "Thread")) : Ref();
  if (!place.wsgi || !target || !type) return false;
  const auto name = "fivefold-" + std::to_string(place.seat.number() + 1);
  place.thread = Ref::take(PyObject_CallFunction(type.get(), "OOs", Py_None, target.get(), name.c_str()));
  return place.thread && Ref::take(PyObject_CallMethod(place.thread.get(), "start", nullptr));
}

bool WsgiThreads::run() {
  for (std::size_t i = 0; i < seats_.count(); ++i) {
    places_.push_back(std::make_unique<Place>(*this, seats_.seat(i)));
    if (!start(*places_.back())) return false;
  }
  {
    const Unlocked unlocked;
    seats_.run();
  }
  for (const auto& place : places_) {
    const Ref joined = Ref::take(PyObject_CallMethod(place->thread.get(), "join", nullptr));
    if (!joined) PyErr_WriteUnraisable(place->thread.get());
  }
  return true;
}

PyObject* WsgiThreads::enter(PyObject* capsule, PyObject*) {
  Place& place = *static_cast<Place*>(PyCapsule_GetPointer(capsule, nullptr));
  place.identity = PyThread_get_thread_ident();
  place.all.serve(place);
  Py_RETURN_NONE;
}

void WsgiThreads::serve(Place& place) {
  for (;;) {
    worker::Request* request = nullptr;
    {
      const Unlocked unlocked;
      request = place.seat.next();
    }
    if (request == nullptr) return;
    place.busy = true;
    const auto outcome = place.wsgi->serve(*request);
    place.busy = false;
    TimeLimit::drop_pending();
    if (channels_.forked()) _exit(0);
    const Unlocked unlocked;
    place.seat.complete(outcome);
  }
}

void WsgiThreads::on_time_limit(worker::Seat& seat) {
  const Locked locked;
  const Place& place = *places_[seat.number()];
  if (!place.busy) return;
  TimeLimit::raise_in(place.identity);
  seat.interrupt();
}

// Handlers of the application run in its main thread, which is this one.
void WsgiThreads::on_signal() {
  std::array<char, 64> written;
  while (read(wakeup_.read, written.data(), written.size()) > 0) {
  }
  const Locked locked;
  if (PyErr_CheckSignals() != 0) PyErr_WriteUnraisable(nullptr);
}

}  // namespace fivefold::python
