#pragma once
// What the tests of this room share.
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <utility>

#include "net/loop.h"
#include "net/timer.h"

namespace fivefold::net {

// Runs `task` on `loop` until it ends; a test that hangs is stopped after 20 s.
inline void run(Loop& loop, Task<void> task) {
  TaskGroup group;
  group.on_empty([&] { loop.stop(); });
  loop.context().restart();  // it may have run before
  group.start(std::move(task));
  if (group.size() == 0) return;
  Timer guard(loop.timers(), [](void* self) { static_cast<Loop*>(self)->stop(); }, &loop);
  guard.set(Clock::now() + std::chrono::seconds(20));
  loop.run();
  EXPECT_EQ(group.size(), 0u) << "the task did not end";
}

// One turn of the wheel: what was queued before has had its turn.
inline Task<void> sleep_briefly(Loop& loop) { co_await sleep_until(loop, loop.now() + std::chrono::milliseconds(1)); }

template <class T>
Task<void> store(Task<T> task, T& out) {
  out = co_await std::move(task);
}

// The result of `task`, run on `loop`.
template <class T>
T result_of(Loop& loop, Task<T> task, T initial) {
  run(loop, store(std::move(task), initial));
  return initial;
}

}  // namespace fivefold::net
