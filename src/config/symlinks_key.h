#pragma once
// The key `symlinks`, of files and of a PHP site.
#include "config/config.h"
#include "config/table_reader.h"

namespace fivefold::config {

inline void read_symlinks(TableReader& reader, Symlinks& symlinks) {
  reader.choice("symlinks", symlinks,
                {{"within", Symlinks::within},
                 {"owner", Symlinks::owner},
                 {"follow", Symlinks::follow},
                 {"deny", Symlinks::deny}});
}

}  // namespace fivefold::config
