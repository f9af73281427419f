#pragma once
// Processes that a script has started and not waited for.

namespace fivefold::worker::php {

// Once, in a worker.
void watch_forks();
// After a request: takes those that have ended off the process table. A system call only where something was forked.
void reap_children();

}  // namespace fivefold::worker::php
