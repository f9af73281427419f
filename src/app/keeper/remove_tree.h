#pragma once
// Removes a folder with all that is in it, though others own what is in it and may have made it to do harm.
#include <string>

#include "base/error.h"

namespace fivefold::app {

// `folder` is an open descriptor of the folder `path` (for messages), whose content is removed; the folder itself
// stays. Symbolic links are removed, never followed; folders may be nested as deep as they like.
Result<void> remove_content(int folder, const std::string& path);

}  // namespace fivefold::app
