#pragma once
// Calls back on a loop whenever a descriptor has become readable.
#include <functional>

#include "base/unique_fd.h"
#include "net/loop.h"

namespace fivefold::net {

// Calls `ready()` on the loop each time something can be read, until it returns false or the loop is destroyed; then
// the descriptor is closed. `ready` reads all there is. Called on the loop's thread. Of several things that became
// ready while the loop was busy, the loop sees them in the order in which they did.
void on_readable(Loop& loop, UniqueFd fd, std::function<bool()> ready);

}  // namespace fivefold::net
