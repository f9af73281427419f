#include "net/loop.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "net/descriptor.h"
#include "net/timer_wheel.h"

namespace fivefold::net {

// One thread runs the context, so its descriptors need no locks; its queue does, because other threads post to it.
Loop::Loop(unsigned index)
    : index_(index),
      context_(std::make_unique<boost::asio::io_context>(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO)),
      timers_(std::make_unique<TimerWheel>(*context_)) {}

Loop::~Loop() {
  for (auto* descriptor : reads_) intrusive_ptr_release(descriptor);
}

void Loop::read_soon(detail::Descriptor* descriptor) {
  intrusive_ptr_add_ref(descriptor);
  reads_.push_back(descriptor);
  if (reads_.size() == 1) boost::asio::post(*context_, [this] { start_reads(); });
}

void Loop::start_reads() {
  starting_.swap(reads_);
  for (auto* descriptor : starting_) {
    descriptor->start_read();
    intrusive_ptr_release(descriptor);
  }
  starting_.clear();
}

void Loop::run() {
  const auto guard = boost::asio::make_work_guard(*context_);
  context_->run();
}

void Loop::stop() { context_->stop(); }

void Loop::post(std::function<void()> work) { boost::asio::post(*context_, std::move(work)); }

void Loop::soon(void (*run)(void*), std::shared_ptr<void> keep) {
  soon_.push_back({run, std::move(keep)});
  if (std::exchange(soon_posted_, true)) return;
  boost::asio::post(*context_, [this] { run_soon(); });
}

void Loop::run_soon() {
  for (std::size_t i = 0; i < kSoonAtOnce && !soon_.empty(); ++i) {
    const Soon next = std::move(soon_.front());
    soon_.pop_front();
    next.run(next.keep.get());
  }
  soon_posted_ = !soon_.empty();
  if (soon_posted_) boost::asio::post(*context_, [this] { run_soon(); });
}

void Loop::destroy_here(std::shared_ptr<void> object) {
  {
    const std::lock_guard lock(doomed_mutex_);
    doomed_.push_back(std::move(object));
    if (doomed_.size() > 1) return;  // on its way already
  }
  post([this] {
    std::vector<std::shared_ptr<void>> going;  // destroyed outside the lock
    const std::lock_guard lock(doomed_mutex_);
    going.swap(doomed_);
  });
}

Sleep::Sleep(Loop& loop, TimePoint at) : timer_(loop.timers(), &Sleep::fire, this), at_(at) {}

void Event::set() {
  if (shared_->set) return;
  shared_->set = true;
  if (!shared_->waiter) return;
  loop_.soon(
      [](void* context) {
        auto& shared = *static_cast<Shared*>(context);
        if (shared.waiter) std::exchange(shared.waiter, nullptr).resume();
      },
      shared_);
}

// The outermost coroutine of a task in a group: unlinks itself and frees its own frame when the task has ended.
struct GroupRunner {
  struct promise_type {
    TaskGroup::Node node;
    static void* operator new(std::size_t size) { return allocate_frame(size); }
    static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }
    GroupRunner get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;

  struct Unlink {
    TaskGroup& group;
    TaskGroup::Node* node = nullptr;
    ~Unlink() {
      if (node) group.unlink(*node);
    }
  };
  static GroupRunner run(TaskGroup& group, Task<void> task, TaskGroup::Node** where) {
    Unlink unlink{group, *where};
    co_await std::move(task);
  }
};

void TaskGroup::link(Node& node) {
  node.next = first_;
  if (first_) first_->previous = &node;
  first_ = &node;
  ++size_;
}

void TaskGroup::unlink(Node& node) {
  if (node.previous) node.previous->next = node.next;
  if (node.next) node.next->previous = node.previous;
  if (first_ == &node) first_ = node.next;
  if (--size_ == 0 && on_empty_ && !destroying_) on_empty_();
}

void TaskGroup::start(Task<void> task) {
  Node* node = nullptr;
  GroupRunner runner = GroupRunner::run(*this, std::move(task), &node);
  node = &runner.handle.promise().node;
  node->handle = runner.handle;
  link(*node);
  runner.handle.resume();
}

void TaskGroup::clear() {
  while (first_) first_->handle.destroy();
}

TaskGroup::~TaskGroup() {
  destroying_ = true;
  clear();
}

}  // namespace fivefold::net
