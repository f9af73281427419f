#pragma once
// Restarts of opcache. A script in worker mode holds opcache's shared memory in use; while one does, a restart that
// opcache_reset() or a full memory asked for waits, and opcache is off for everybody. So such a script is asked to end
// and is started again.
namespace fivefold::worker::php {

// In the zygote, before the first fork: what its workers share. false: no memory.
bool share_restarts();
// In a worker that is going to loop.
void watch_restarts();
// Replaces the function opcache_reset() by one that tells the other workers too.
void replace_opcache_reset();
// Whether the script should end now, as a restart waits. Looks at opcache itself at most once a second.
bool restart_asked();
// The same without looking at opcache: whether another worker has told so. Callable at any time.
bool restart_told();
// The script is started anew: it has done what it was asked.
void restart_done();

}  // namespace fivefold::worker::php
