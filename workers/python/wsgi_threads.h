#pragma once
// A WSGI application with several threads in one worker: as many requests at once.
#include <memory>
#include <vector>

#include "channel/seats.h"
#include "python_object.h"
#include "wsgi.h"

namespace fivefold::python {

class WsgiThreads final : private worker::Seats::Host {
 public:
  static constexpr unsigned kMost = 256;

  // `application` is shared. Needs the GIL, as run() does. `channels` outlives it.
  WsgiThreads(PyObject* application, worker::Channels& channels, unsigned count);

  // Runs until the channels have ended and the requests are over. False with an exception set when a thread cannot be
  // started.
  bool run();
  ~WsgiThreads();
  WsgiThreads(const WsgiThreads&) = delete;
  WsgiThreads& operator=(const WsgiThreads&) = delete;

 private:
  // Python's handlers of signals write to it, whichever thread they run in; the main thread reads.
  struct Wakeup {
    Wakeup();
    int read = -1, write = -1;
  };

  // One thread and its request. What is not const is used with the GIL.
  struct Place {
    Place(WsgiThreads& threads, worker::Seat& own) : all(threads), seat(own) {}
    WsgiThreads& all;
    worker::Seat& seat;
    std::unique_ptr<Wsgi> wsgi;
    Ref thread;
    unsigned long identity = 0;
    bool busy = false;
  };

  static PyObject* enter(PyObject* capsule, PyObject*);
  bool start(Place& place);
  void serve(Place& place);
  void on_time_limit(worker::Seat& seat) override;
  void on_signal() override;

  Ref application_;
  worker::Channels& channels_;
  Wakeup wakeup_;
  worker::Seats seats_;
  std::vector<std::unique_ptr<Place>> places_;
};

}  // namespace fivefold::python
