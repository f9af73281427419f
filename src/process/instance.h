#pragma once
// One live instance of a program, as its launcher brings it up and its pool keeps it.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "net/task.h"
#include "process/child.h"
#include "process/journey.h"

namespace fivefold::process {

// An instance that is `ready` and answers requests is shown as "busy". What each means for requests:
//   starting   not ready yet; nobody is sent to it
//   ready      leased out up to its concurrency
//   ejected    was ready, has failed several requests or its health check; rests, then is tried again
//   draining   ready, but gets no new request; ends when the last one has left, or at its drain deadline
//   stopping   told to end (TERM, then KILL)
//   failed     did not become ready; kept a while for `status` with its journey
enum class InstanceState : std::uint8_t { starting, ready, ejected, draining, stopping, failed };
std::string_view name_of(InstanceState state);

// The instance's process, on the pool's home loop. Letting go of it ends the process (process/child.h) and closes what
// was opened for it (its socket, the reading end of its output).
class InstanceProcess {
 public:
  virtual ~InstanceProcess() = default;
  // Null for a process that somebody else runs (an `address`).
  virtual Child* child() = 0;
  // Whether it still does its work: asks it once. Called only where health checks are configured.
  virtual net::Task<Result<void>> probe() = 0;
  // Lets the process go on for the next server (Spawner::disown), if it was started to be kept; else ends it.
  virtual void disown() = 0;
  // It gets requests from now on. `the_request` tells the id of the one that it works on, empty when that is none or
  // several: for the lines that it prints.
  virtual void serves(std::function<std::string()> the_request) { (void)the_request; }
  // It has ended before it came to serve: what is known of that, above all its last output, goes to `journey`.
  virtual void tell_end(Journey& journey) const { (void)journey; }
  // Where it hangs, in words, several lines (/proc's wchan, stack where readable); empty when nothing can be told.
  virtual std::string where_it_hangs() const = 0;
};

// How requests reach it; its leases share it, on any loop, and it may outlive the process. The launcher's own kind.
class InstanceAddress {
 public:
  virtual ~InstanceAddress() = default;
};

struct Launched {
  std::unique_ptr<InstanceProcess> process;
  std::shared_ptr<InstanceAddress> address;
};

// Starts instances of one program as it is configured now: what differs between applications, workers and functions.
class Launcher {
 public:
  virtual ~Launcher() = default;
  // Brings instance `id` up and returns when it is ready, or fails with what went wrong; within the launcher's own
  // start timeout. The steps, the program's output and the likely mend go to `journey`. On the home loop; may be let go
  // of at any time, which ends what it has started.
  virtual net::Task<Result<Launched>> launch(std::uint32_t id, std::shared_ptr<Journey> journey) = 0;
};

}  // namespace fivefold::process
