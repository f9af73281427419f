#pragma once
// What processes that a script has started, and copies of its STDOUT, write to descriptor 1: a pipe that is emptied
// into the response, in the order in which things were written.
#include <pthread.h>

#include <functional>
#include <string_view>

namespace fivefold::perl {

// The same file on a descriptor that is no standard one, whose numbers are free where a script has closed its handles.
int lifted(int descriptor);

class ChildOutput {
 public:
  // In a worker, once. `take` is given the bytes, with lock() held, sometimes by a thread of its own. false: no pipe to
  // be had.
  bool start(std::function<void(std::string_view bytes)> take);
  int write_end() const { return write_; }

  // From now on, until the request ends, something else than Perl's STDOUT may write: a thread empties the pipe while
  // the script waits.
  void share();
  bool shared() const { return shared_; }
  // Takes what has been written up to now. With lock() held.
  void drain();
  // The request has ended: what is written by whoever still has the old pipe goes nowhere. true when it was shared, and
  // write_end() is another one.
  bool renew();

  void lock();
  void unlock();
  // Around a fork, which must not happen while the thread is at work.
  void in_child();

 private:
  static void* run(void* self);
  void watch();
  bool make_pipe();

  std::function<void(std::string_view)> take_;
  int read_ = -1;
  int write_ = -1;
  int wake_ = -1;  // eventfd: the thread shall look again
  bool shared_ = false;
  bool have_thread_ = false;
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t changed_ = PTHREAD_COND_INITIALIZER;

  static constexpr std::size_t kPiece = 64 * 1024;
};

}  // namespace fivefold::perl
