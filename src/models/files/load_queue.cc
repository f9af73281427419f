#include "models/files/load_queue.h"

namespace fivefold::models::files {

std::shared_ptr<LoadQueue::Loading> LoadQueue::start(std::string key, LoadRequest request, Loaded previous,
                                                     std::shared_ptr<const ResourceLoader> loader,
                                                     net::BlockingPool& pool, net::Loop& loop,
                                                     std::function<void(const Loading&)> finished) {
  if (const auto found = under_way_->find(key); found != under_way_->end()) return found->second;
  auto loading = std::make_shared<Loading>();
  loading->request = std::move(request);
  loading->previous = std::move(previous);
  under_way_->emplace(key, loading);
  pool.submit([loading, loader = std::move(loader), &loop, under_way = under_way_, key = std::move(key),
               finished = std::move(finished)] {
    Loaded result = loader->load(loading->request, loading->previous, Patience::blocking);
    loop.post([loading, under_way, key, finished, result = std::move(result)] {
      loading->result = result;
      loading->done = true;
      under_way->erase(key);
      finished(*loading);
      while (Loading::Wait* wait = loading->first) {
        wait->unlink();
        wait->awaiting_.resume();
      }
    });
  });
  return loading;
}

void LoadQueue::Loading::Wait::await_suspend(std::coroutine_handle<> awaiting) {
  awaiting_ = awaiting;
  linked_ = true;
  next_ = loading_->first;
  if (next_) next_->previous_ = this;
  loading_->first = this;
}

void LoadQueue::Loading::Wait::unlink() {
  if (!linked_) return;
  linked_ = false;
  (previous_ ? previous_->next_ : loading_->first) = next_;
  if (next_) next_->previous_ = previous_;
  previous_ = next_ = nullptr;
}

}  // namespace fivefold::models::files
