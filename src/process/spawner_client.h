#pragma once
// The server's side of one spawning helper's socket.
#include <memory>

#include "base/unique_fd.h"
#include "net/loop.h"
#include "process/child.h"

namespace fivefold::process {

class SpawnerClient : public Spawner {
 public:
  // False once the helper is gone. Spawns then fail with Code::program_unavailable, and what it had started counts as
  // ended by signal 9.
  virtual bool connected() const = 0;
  // Goes on with a new helper, of which adoption is asked again. If the old one is still there, it is let go of, which
  // ends its processes but for those that are kept.
  virtual void reconnect(UniqueFd socket) = 0;
};

// `socket` is a SOCK_SEQPACKET whose other end a spawning helper serves (process/spawner_process.h). One per loop.
// Children may outlive it; their processes do not, but for those that are kept, which wait for another client's
// adopt().
std::unique_ptr<SpawnerClient> make_spawner_client(net::Loop& loop, UniqueFd socket);

}  // namespace fivefold::process
