#include "models/files/files_model.h"

#include "models/files/files_handler.h"

namespace fivefold::models::files {

std::shared_ptr<FileCaches> make_file_caches(const config::OpenFileCache& settings, unsigned loops) {
  return std::make_shared<FileCaches>(settings, loops);
}

std::shared_ptr<exchange::Handler> make_files_handler(const config::Files& files, std::shared_ptr<FileCaches> caches,
                                                      Log& log) {
  const PathWalk walk(files.symlinks, Patience::blocking);
  if (const auto root = walk.open_root(files.root); !root)
    log.warn("files = \"{}\": the folder cannot be opened ({}); its paths are answered with an error until it can",
             files.root, errno_text(root.error()));
  return std::make_shared<FilesHandler>(files, std::move(caches));
}

std::shared_ptr<exchange::Handler> make_files_handler(const config::Files& files, const config::OpenFileCache& cache,
                                                      unsigned loops, Log& log) {
  return make_files_handler(files, make_file_caches(cache, loops), log);
}

}  // namespace fivefold::models::files
