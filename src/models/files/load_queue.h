#pragma once
// Loads that have to wait for a disk: done on the blocking pool, one for all requests of a loop that want the same file
// at once.
#include <coroutine>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "models/files/resource_loader.h"
#include "net/blocking.h"
#include "net/loop.h"

namespace fivefold::models::files {

class LoadQueue {
 public:
  // One load under way. Touched on the loop only, but for `request` and `previous`, which the pool's thread reads.
  struct Loading {
    LoadRequest request;
    Loaded previous;
    Loaded result;
    bool done = false;
    class Wait;
    Wait* first = nullptr;
  };

  // Starts a load, or joins the one under way for `key`. `loader` lives until the load has ended.
  // `finished` runs on the loop once, with the result, before those who wait go on; also when nobody waits any more.
  std::shared_ptr<Loading> start(std::string key, LoadRequest request, Loaded previous,
                                 std::shared_ptr<const ResourceLoader> loader, net::BlockingPool& pool, net::Loop& loop,
                                 std::function<void(const Loading&)> finished);
  std::size_t size() const { return under_way_->size(); }

 private:
  using UnderWay = std::unordered_map<std::string, std::shared_ptr<Loading>>;
  std::shared_ptr<UnderWay> under_way_ = std::make_shared<UnderWay>();
};

// co_await Wait(loading): until it is done. A waiter may be destroyed at any time; the load goes on for the others and
// the cache.
class [[nodiscard]] LoadQueue::Loading::Wait {
 public:
  explicit Wait(std::shared_ptr<Loading> loading) : loading_(std::move(loading)) {}
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;
  ~Wait() { unlink(); }
  bool await_ready() const { return loading_->done; }
  void await_suspend(std::coroutine_handle<> awaiting);
  Loaded await_resume() const { return loading_->result; }

 private:
  friend class LoadQueue;
  void unlink();
  std::shared_ptr<Loading> loading_;
  std::coroutine_handle<> awaiting_;
  Wait* previous_ = nullptr;
  Wait* next_ = nullptr;
  bool linked_ = false;
};

}  // namespace fivefold::models::files
