#pragma once
// One event loop: a thread's worth of connections, timers and coroutines. Objects belong to one loop; loops talk by
// posting.
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "net/task.h"
#include "net/timer.h"

namespace boost::asio {
class io_context;
}

namespace fivefold::net {

namespace detail {
struct Descriptor;
}

class Loop {
 public:
  explicit Loop(unsigned index);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs until stop(). Called by the thread that is to be this loop.
  void run();
  // From any thread.
  void stop();
  void post(std::function<void()> work);

  // On this loop: `run(keep.get())` from its top, after the handler that is running, before anything new is looked for.
  // Cheaper than post(), and for what may be many: things that wake one another have kSoonAtOnce turns before
  // descriptors have theirs.
  static constexpr std::size_t kSoonAtOnce = 64;
  void soon(void (*run)(void*), std::shared_ptr<void> keep);

  // From any thread: `object` is destroyed on this loop, or with it.
  void destroy_here(std::shared_ptr<void> object);

  unsigned index() const { return index_; }
  TimerWheel& timers() { return *timers_; }
  // The time this turn of the loop began to run its handlers, or a little later; cheap.
  TimePoint now() const { return Clock::now(); }
  boost::asio::io_context& context() { return *context_; }

  // For Stream: begins reading from `descriptor` when what is ready now has had its turn. By then a busy client has
  // often sent its next request, and the read succeeds at once where it would have failed with EAGAIN and come back by
  // way of epoll.
  void read_soon(detail::Descriptor* descriptor);

 private:
  void start_reads();
  void run_soon();
  struct Soon {
    void (*run)(void*);
    std::shared_ptr<void> keep;
  };
  std::deque<Soon> soon_;
  bool soon_posted_ = false;
  unsigned index_;
  std::vector<detail::Descriptor*> reads_;     // counted
  std::vector<detail::Descriptor*> starting_;  // those being started: a batch's own
  std::unique_ptr<boost::asio::io_context> context_;
  std::unique_ptr<TimerWheel> timers_;
  std::mutex doomed_mutex_;
  std::vector<std::shared_ptr<void>> doomed_;  // what lives on the loop and is to go
};

// co_await sleep_until(loop, at).
class [[nodiscard]] Sleep {
 public:
  Sleep(Loop& loop, TimePoint at);
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> awaiting) {
    awaiting_ = awaiting;
    timer_.set(at_);
  }
  void await_resume() const {}

 private:
  static void fire(void* self) { static_cast<Sleep*>(self)->awaiting_.resume(); }
  Timer timer_;
  TimePoint at_;
  std::coroutine_handle<> awaiting_;
};
inline Sleep sleep_until(Loop& loop, TimePoint at) { return Sleep(loop, at); }

// co_await others_first(loop): goes on when everything that is ready now has had its turn.
class [[nodiscard]] OthersFirst {
 public:
  explicit OthersFirst(Loop& loop) : loop_(loop), awaiting_(std::make_shared<std::coroutine_handle<>>()) {}
  OthersFirst(const OthersFirst&) = delete;
  ~OthersFirst() { *awaiting_ = nullptr; }
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> awaiting) {
    *awaiting_ = awaiting;
    loop_.post([shared = awaiting_] {
      if (*shared) std::exchange(*shared, nullptr).resume();
    });
  }
  void await_resume() const {}

 private:
  Loop& loop_;
  std::shared_ptr<std::coroutine_handle<>> awaiting_;
};
inline OthersFirst others_first(Loop& loop) { return OthersFirst(loop); }

// A one-waiter event on one loop: wait() suspends until set() (at once if already set). set() resumes the waiter from
// the top of the loop, never inside the caller.
class Event {
 public:
  explicit Event(Loop& loop) : loop_(loop), shared_(std::make_shared<Shared>()) {}
  ~Event() { shared_->waiter = nullptr; }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void set();
  bool is_set() const { return shared_->set; }
  void reset() { shared_->set = false; }

  struct [[nodiscard]] Wait {
    Event& event;
    bool await_ready() const { return event.shared_->set; }
    void await_suspend(std::coroutine_handle<> awaiting) { event.shared_->waiter = awaiting; }
    void await_resume() const {}
    ~Wait() { event.shared_->waiter = nullptr; }
  };
  Wait wait() { return Wait{*this}; }

 private:
  struct Shared {
    bool set = false;
    std::coroutine_handle<> waiter;
  };
  Loop& loop_;
  std::shared_ptr<Shared> shared_;
};

// Many tasks with one owner: each runs until it ends; those still running when the group is destroyed are destroyed
// with it.
class TaskGroup {
 public:
  TaskGroup() = default;
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  void start(Task<void> task);
  // Destroys those still running. From the top of the loop.
  void clear();
  std::size_t size() const { return size_; }
  // Called (from the top of the loop or from a task's end) whenever the group becomes empty.
  void on_empty(std::function<void()> callback) { on_empty_ = std::move(callback); }

  struct Node {
    Node* previous = nullptr;
    Node* next = nullptr;
    std::coroutine_handle<> handle;
  };

 private:
  friend struct GroupRunner;
  void link(Node& node);
  void unlink(Node& node);
  Node* first_ = nullptr;
  std::size_t size_ = 0;
  bool destroying_ = false;
  std::function<void()> on_empty_;
};

}  // namespace fivefold::net
