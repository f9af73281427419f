#pragma once
// A few threads for work that may block on a disk: opening, reading, looking up names. Loops hand work over and await
// it.
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <vector>

#include "net/loop.h"

namespace fivefold::net {

class BlockingPool {
 public:
  explicit BlockingPool(unsigned threads = 4);
  ~BlockingPool();  // finishes what has begun, drops what has not
  void submit(std::function<void()> work);

 private:
  void work();
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  bool stopping_ = false;
  std::vector<std::jthread> threads_;
};

// co_await offload(pool, loop, function): runs function() on a pool thread and resumes on the loop with its result.
// Let go of while it runs, the function still ends, on its own copy of what it captured; its result is dropped.
template <class Function>
class [[nodiscard]] Offload {
 public:
  using R = std::invoke_result_t<Function&>;
  Offload(BlockingPool& pool, Loop& loop, Function function)
      : pool_(pool), shared_(std::make_shared<Shared>(loop, std::move(function))) {}
  Offload(Offload&&) = delete;
  ~Offload() { shared_->waiter = nullptr; }
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> awaiting) {
    shared_->waiter = awaiting;
    pool_.submit([shared = shared_] {
      shared->result.emplace(shared->function());
      shared->loop.post([shared] {
        if (shared->waiter) std::exchange(shared->waiter, nullptr).resume();
      });
    });
  }
  R await_resume() { return std::move(*shared_->result); }

 private:
  struct Shared {
    Shared(Loop& l, Function f) : loop(l), function(std::move(f)) {}
    Loop& loop;
    Function function;
    std::optional<R> result;
    std::coroutine_handle<> waiter;  // touched on the loop only
  };
  BlockingPool& pool_;
  std::shared_ptr<Shared> shared_;
};
template <class Function>
Offload<Function> offload(BlockingPool& pool, Loop& loop, Function function) {
  return Offload<Function>(pool, loop, std::move(function));
}

}  // namespace fivefold::net
