#pragma once
// The files model: a folder of a route becomes a handler.
#include <memory>

#include "base/log.h"
#include "config/config.h"
#include "exchange/exchange.h"

namespace fivefold::models::files {

// What the files handlers of one site share: an open-file cache for each event loop and one watcher for changed
// folders.
class FileCaches;
std::shared_ptr<FileCaches> make_file_caches(const config::OpenFileCache& settings, unsigned loops);

// A handler for one route's folder. The caches outlive it; `log` is told at once when the folder cannot be opened.
std::shared_ptr<exchange::Handler> make_files_handler(const config::Files& files, std::shared_ptr<FileCaches> caches,
                                                      Log& log);

// The same with caches of its own, for `loops` event loops.
std::shared_ptr<exchange::Handler> make_files_handler(const config::Files& files, const config::OpenFileCache& cache,
                                                      unsigned loops, Log& log);

}  // namespace fivefold::models::files
