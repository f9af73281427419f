#pragma once
// What a language is to its worker: a few functions that the zygote and the workers call.
#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "channel/channels.h"
#include "channel/settings.h"

namespace fivefold::worker {

class Interpreter {
 public:
  virtual ~Interpreter() = default;

  // The keys of the settings that it knows, besides `program` and `root`.
  virtual std::span<const std::string_view> settings() const = 0;

  // In the zygote, once: starts the interpreter and loads what all workers shall share. `settings` outlives it. The
  // error is a sentence for the person who wrote the program; the zygote prints it and exits.
  virtual std::expected<void, std::string> start(const Settings& settings) = 0;
  // After start(): "PHP 8.2.29".
  virtual std::string version() = 0;

  // Around each fork.
  virtual void before_fork() {}
  virtual void after_fork_in_zygote() {}
  virtual void after_fork_in_worker() {}

  // In a worker: serves until the channels have ended or an outcome says to leave. The usual loop; a language that
  // must have the loop itself has one of its own.
  virtual void work(Channels& channels);
  // In a worker: answers one request. Channels::complete() is called with what it returns.
  virtual Outcome serve(Request& request) = 0;
  // In a worker whose zygote was told `slow=yes`, in a thread of its own, while serve() or work() runs: prints where
  // the script is to standard error, as far as can be told.
  virtual void show_stack() {}
  // In a worker, before it exits.
  virtual void leave() {}
};

}  // namespace fivefold::worker
