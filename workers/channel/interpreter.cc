#include "channel/interpreter.h"

#include <unistd.h>

namespace fivefold::worker {

void Interpreter::work(Channels& channels) {
  while (Request* request = channels.next()) {
    const Outcome outcome = serve(*request);
    // A child that the script has forked and that came back here must not answer again.
    if (channels.forked()) _exit(0);
    channels.complete(outcome);
    if (outcome.leave) return;
  }
}

}  // namespace fivefold::worker
