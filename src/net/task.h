#pragma once
// Task<T>: a lazy coroutine that belongs to one loop.
//
// It runs when awaited, resumes its awaiter by symmetric transfer, and is cancelled by letting go: destroying a Task
// destroys its frame and everything in it, down to the operation it waits for. So no frame may be destroyed while it is
// running. Exceptions are bugs: one that leaves a Task ends in the awaiter, and the outermost owner logs it once.
#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>

namespace fivefold::net {

// Frames come from a per-thread free list: a request's handful of coroutines costs no malloc once warm.
void* allocate_frame(std::size_t size);
void free_frame(void* frame, std::size_t size) noexcept;

template <class T>
class Task;

namespace detail {

struct PromiseBase {
  std::coroutine_handle<> continuation = std::noop_coroutine();
  std::exception_ptr exception;

  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }

  std::suspend_always initial_suspend() noexcept { return {}; }
  struct FinalAwaiter {
    bool await_ready() noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) noexcept {
      return handle.promise().continuation;
    }
    void await_resume() noexcept {}
  };
  FinalAwaiter final_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { exception = std::current_exception(); }
};

template <class T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Task<T> get_return_object() noexcept;
  template <class U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  T take() {
    if (exception) std::rethrow_exception(exception);
    return std::move(*value);
  }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object() noexcept;
  void return_void() noexcept {}
  void take() {
    if (exception) std::rethrow_exception(exception);
  }
};

}  // namespace detail

template <class T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task() = default;
  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      destroy();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  ~Task() { destroy(); }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
    handle_.promise().continuation = awaiting;
    return handle_;
  }
  T await_resume() { return handle_.promise().take(); }

  // For code that drives a task itself (until(), Running): starts it or lets it go.
  Handle handle() const { return handle_; }
  void destroy() {
    if (handle_) std::exchange(handle_, {}).destroy();
  }

 private:
  Handle handle_;
};

namespace detail {
template <class T>
Task<T> Promise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}
}  // namespace detail

// A task that runs at once beside its owner, until it ends or the owner lets go of this object.
// May be destroyed only while the task is suspended or done, that is: not from within the task itself.
class Running {
 public:
  Running() = default;
  explicit Running(Task<void> task) : task_(std::move(task)) { task_.handle().resume(); }
  Running(Running&&) noexcept = default;
  Running& operator=(Running&&) noexcept = default;
  bool done() const { return !task_.handle() || task_.handle().done(); }
  explicit operator bool() const { return static_cast<bool>(task_.handle()); }

 private:
  Task<void> task_;
};

// Ends a task early: see until(). Whoever wants the stop calls request() from the top of the loop (a timer, an I/O
// completion), never from inside the task that is to be stopped.
class StopSource {
 public:
  void request() {
    requested_ = true;
    if (waiter_) {
      auto* waiter = std::exchange(waiter_, nullptr);
      notify_(waiter);
    }
  }
  bool requested() const { return requested_; }
  void reset() { requested_ = false; }

 private:
  template <class T, class OnSuspend>
  friend class Until;
  bool requested_ = false;
  void* waiter_ = nullptr;
  void (*notify_)(void*) = nullptr;
};

// co_await until(task, stop): the task's result, or nothing when `stop` was requested first; the task is then
// destroyed. The task starts at once; when it ends without ever waiting, this costs no suspension. `on_suspend` is
// called when it does wait.
struct DoNothing {
  void operator()() const {}
};
template <class T, class OnSuspend = DoNothing>
class [[nodiscard]] Until {
 public:
  Until(Task<T> task, StopSource& stop, OnSuspend on_suspend = {})
      : task_(std::move(task)), stop_(stop), on_suspend_(on_suspend) {}
  ~Until() {
    if (stop_.waiter_ == this) stop_.waiter_ = nullptr;
  }
  bool await_ready() {
    if (stop_.requested()) return true;
    task_.handle().resume();
    return task_.handle().done();
  }
  void await_suspend(std::coroutine_handle<> awaiting) {
    awaiting_ = awaiting;
    task_.handle().promise().continuation = awaiting;
    stop_.waiter_ = this;
    stop_.notify_ = [](void* self) { static_cast<Until*>(self)->stopped(); };
    on_suspend_();
  }
  std::optional<T> await_resume() {
    if (stop_.waiter_ == this) stop_.waiter_ = nullptr;
    if (!task_.handle() || !task_.handle().done()) return std::nullopt;
    return task_.handle().promise().take();
  }

 private:
  void stopped() {
    task_.destroy();
    awaiting_.resume();
  }
  Task<T> task_;
  StopSource& stop_;
  [[no_unique_address]] OnSuspend on_suspend_;
  std::coroutine_handle<> awaiting_;
};

template <class T>
Until<T> until(Task<T> task, StopSource& stop) {
  return Until<T>(std::move(task), stop);
}
template <class T, class OnSuspend>
Until<T, OnSuspend> until(Task<T> task, StopSource& stop, OnSuspend on_suspend) {
  return Until<T, OnSuspend>(std::move(task), stop, on_suspend);
}

}  // namespace fivefold::net
