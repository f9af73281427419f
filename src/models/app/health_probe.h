#pragma once
// One question to an instance: are you well?
#include "models/app/app_instance.h"
#include "net/loop.h"
#include "upstream/endpoint.h"

namespace fivefold::models::app {

// Connects and, with a path, asks for it: any status from 200 to 399 is health. Code::program_unavailable or
// Code::program_timeout, in words.
net::Task<Result<void>> probe_health(net::Loop& loop, upstream::Endpoint endpoint, HealthProbe probe);

// Whether something accepts connections there now.
net::Task<bool> accepts(net::Loop& loop, upstream::Endpoint endpoint, net::TimePoint deadline);

}  // namespace fivefold::models::app
