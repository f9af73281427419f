#pragma once
// A channel to a worker that takes several requests at once (gateway/worker_protocol.h), on one event loop.
//
//     StreamExchange ┐                                   ┌ StreamExchange::take
//     StreamExchange ┼─ out() ── one sendmsg ─ worker ─ one read ┼ StreamExchange::take
//     StreamExchange ┘                                   └ StreamExchange::take
//
// What the requests of one turn of the loop have to say leaves in one piece when that turn is over; what comes in one
// read goes to all whom it is for before any of them goes on. Nobody holds up anybody else: what comes is bounded by
// the window of each request, what goes by what the worker has asked for.
#include <coroutine>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "exchange/exchange.h"
#include "gateway/worker_frames.h"
#include "net/stream.h"

namespace fivefold::upstream {

class StreamExchange;
class WorkerStreams;

// One coroutine that waits for its exchange. It looks at what it waits for right before it does.
class StreamWaiter {
 public:
  explicit StreamWaiter(WorkerStreams& streams) : streams_(streams) {}
  StreamWaiter(const StreamWaiter&) = delete;
  StreamWaiter& operator=(const StreamWaiter&) = delete;

  // Resumes it from the top of the loop, never inside the caller.
  void wake();

  class [[nodiscard]] Wait {
   public:
    explicit Wait(StreamWaiter& waiter) : waiter_(waiter) {}
    Wait(const Wait&) = delete;
    ~Wait();
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> awaiting) { waiter_.handle_ = awaiting; }
    void await_resume() const {}

   private:
    StreamWaiter& waiter_;
  };
  Wait wait() { return Wait(*this); }

 private:
  friend class WorkerStreams;
  WorkerStreams& streams_;
  std::coroutine_handle<> handle_;
  bool queued_ = false;
};

// Belongs to `loop`. Shared by whoever reaches the worker through it and by the requests on it.
class WorkerStreams : public std::enable_shared_from_this<WorkerStreams> {
 public:
  static constexpr std::size_t kBuffer = 17 * 1024;
  static constexpr std::size_t kLargestBuffer = 256 * 1024;
  static constexpr std::size_t kMostUnsent = 256 * 1024;  // that the worker has not read: above it bodies wait

  WorkerStreams(net::Loop& loop, UniqueFd fd, std::size_t head_limit);

  net::Loop& loop() { return loop_; }
  // Whether requests may still be begun on it.
  bool is_open() const { return !closed_; }
  int fd() const { return stream_ ? stream_->fd() : -1; }
  // Nothing goes over it any more: the worker sees its end, and what is on it breaks. At the top of the loop only.
  void close();

  // ---- for exchanges ----

  // A number for a request that begins; its frames go to `exchange` until it leaves. The reader runs in the world's
  // background from the first one on.
  std::uint32_t enter(const std::shared_ptr<StreamExchange>& exchange, exchange::World& world);
  void leave(std::uint32_t number);
  // What is to be sent: whole frames are appended, then said.
  std::string& out() { return out_; }
  void said() { turn_soon(); }
  bool has_room() const { return out_.size() - sent_ < kMostUnsent; }
  // Counts every byte that was ever appended, and those of them that have left.
  std::uint64_t appended() const { return left_ + (out_.size() - sent_); }
  std::uint64_t left() const { return left_; }
  // `guilty` did not end in time: the worker is killed. At the top of the loop only.
  void kill(StreamExchange& guilty, const Error& error);

 private:
  friend class StreamWaiter;
  class AtEnd;
  struct Slot {
    std::uint32_t number = 0;
    std::shared_ptr<StreamExchange> exchange;
  };
  static net::Task<void> read(std::shared_ptr<WorkerStreams> self);
  void take();
  enum class Why : std::uint8_t { ended, reset, nonsense };
  void lose(const Error& error, Why why, const StreamExchange* guilty = nullptr);
  void drop_all();
  void resume_ready();
  void turn_soon();
  void turn();
  bool write_now();
  net::Task<void> write_rest();
  Slot& slot(std::uint32_t number) { return slots_[number & (slots_.size() - 1)]; }
  void grow();

  net::Loop& loop_;
  std::unique_ptr<net::Stream> stream_;
  gateway::WorkerFrameReader reader_;
  std::vector<Slot> slots_;  // by the low bits of their numbers; a power of two, at most half of it taken
  std::size_t taken_ = 0;
  std::uint32_t last_number_ = 0;
  std::vector<StreamWaiter*> ready_;  // null: it waits no more
  std::string out_;
  std::size_t sent_ = 0;    // of `out_`
  std::uint64_t left_ = 0;  // ever
  bool reading_ = false;    // the reader has been started
  bool dispatching_ = false;
  bool turn_posted_ = false;
  bool writing_ = false;  // the rest leaves as the worker reads
  bool deaf_ = false;     // nothing can be written any more
  bool closed_ = false;
  net::Running writer_;  // destroyed before the stream
};

}  // namespace fivefold::upstream
