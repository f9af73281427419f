#pragma once
// One question to an instance: are you well?
#include "models/app/app_instance.h"
#include "net/loop.h"
#include "upstream/connections.h"

namespace fivefold::models::app {

// Opens a connection as a request would (name looked up, TLS shaken hands) and, with a path, asks for it: any status
// from 200 to 399 is health. Code::program_unavailable, Code::timed_out or Code::program_timeout, in words.
// `connections` outlives the task; none of theirs is kept for it.
net::Task<Result<void>> probe_health(upstream::Connections& connections, HealthProbe probe);

// Whether something accepts connections there now.
net::Task<bool> accepts(net::Loop& loop, upstream::Endpoint endpoint, net::TimePoint deadline);

}  // namespace fivefold::models::app
