#pragma once
// The server's side of one spawning helper's socket.
#include <memory>

#include "base/unique_fd.h"
#include "net/loop.h"
#include "process/child.h"

namespace fivefold::process {

// `socket` is a SOCK_SEQPACKET whose other end a spawning helper serves (process/spawner_process.h). One per loop.
std::unique_ptr<Spawner> make_spawner_client(net::Loop& loop, UniqueFd socket);

}  // namespace fivefold::process
