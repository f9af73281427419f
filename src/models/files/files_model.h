#pragma once
// The files model: a folder of a route becomes a handler.
#include <memory>

#include "base/log.h"
#include "config/config.h"
#include "exchange/exchange.h"

namespace fivefold::models::files {

// `cache` settings are per loop; the handler keeps one open-file cache for each of `loops` event loops.
std::shared_ptr<exchange::Handler> make_files_handler(const config::Files& files, const config::OpenFileCache& cache, unsigned loops, Log& log);

}  // namespace fivefold::models::files
