#include "models/files/file_caches.h"

#include <sys/resource.h>

#include <algorithm>

namespace fivefold::models::files {

FileCaches::FileCaches(const config::OpenFileCache& settings, unsigned loops, std::size_t watches)
    : settings_(settings) {
  loops = std::max(loops, 1u);
  asked_ = std::vector<Asked>(loops);
  if (settings_.entries > 0) watcher_ = std::make_shared<FolderWatcher>(watches);
  rlimit limit{.rlim_cur = 1024, .rlim_max = 1024};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const std::size_t descriptors = std::min<std::size_t>(limit.rlim_cur, 1u << 20) / kDescriptorShare / loops;
  for (unsigned i = 0; i < loops; ++i) caches_.push_back(std::make_shared<OpenFileCache>(settings_, descriptors));
}

}  // namespace fivefold::models::files
