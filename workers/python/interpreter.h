#pragma once
// Python as the language of a worker: started once in the zygote, with the application loaded, then forked.
#include <memory>

#include "asgi.h"
#include "channel/interpreter.h"
#include "python_object.h"
#include "wsgi.h"
#include "wsgi_threads.h"

namespace fivefold::python {

class Python : public worker::Interpreter {
 public:
  std::span<const std::string_view> settings() const override;
  std::expected<void, std::string> start(const worker::Settings& settings) override;
  std::string version() override;
  void before_fork() override;
  void after_fork_in_zygote() override;
  void after_fork_in_worker() override;
  void show_stack() override;
  void work(worker::Channels& channels) override;
  worker::Outcome serve(worker::Request& request) override;
  void leave() override;

 private:
  std::expected<void, std::string> start_interpreter();
  std::expected<void, std::string> load();
  Ref find_application();
  bool prepare(PyObject* application);
  void serve_one_by_one(worker::Channels& channels);
  void serve_in_threads(worker::Channels& channels);

  const worker::Settings* settings_ = nullptr;
  Ref loader_;                  // loader.py, as a module
  std::unique_ptr<Wsgi> wsgi_;  // one of the two
  std::unique_ptr<Asgi> asgi_;
  std::string interface_;  // "wsgi" or "asgi"
  WebSocketLimits websocket_;
  unsigned threads_ = 1;  // of a worker with a WSGI application
  bool preload_ = true;
};

}  // namespace fivefold::python
