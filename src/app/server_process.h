#pragma once
// The server process: everything that meets the network, without privileges. Started by the keeper, told what to serve
// through descriptor 3.

namespace fivefold::app {

// Until the keeper says drain (0), or something keeps it from starting (1).
int run_server_process();

}  // namespace fivefold::app
