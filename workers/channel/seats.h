#pragma once
// Several requests at once, each in a thread of its own. One thread reads the channels and hands out what comes: a new
// request to a seat that is free, everything else to the seat where its request is. The threads write by themselves,
// whole frames at a time.
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "channel/channels.h"

namespace fivefold::worker {

class Seats;

// Where one thread answers one request after the other.
class Seat final : private Link {
 public:
  Seat(Seats& seats, unsigned number) : seats_(seats), number_(number) {}
  Seat(const Seat&) = delete;
  Seat& operator=(const Seat&) = delete;

  unsigned number() const { return number_; }
  // Waits for a request, which lives until complete(). nullptr: the worker leaves.
  Request* next();
  void complete(const Outcome& outcome);
  // From any thread: a wait for the body (Request::read_body with `until_signal`) ends.
  void interrupt();

 private:
  friend class Seats;

  void detach() { request_.detach(); }
  // A request, from its frame on.
  struct Job {
    std::size_t channel = 0;
    std::uint32_t stream = 0;
    std::string inbox;  // frames that have come
    std::size_t read = 0;
    bool ended = false;         // the channel has
    std::int64_t deadline = 0;  // milliseconds of the monotonic clock; 0: none
    Seat* seat = nullptr;
  };

  ssize_t receive(char* to, std::size_t most, Wait wait) override;
  bool send(std::span<const iovec> frames) override;

  Seats& seats_;
  const unsigned number_;
  std::optional<Wire> wire_;
  Request request_;
  std::shared_ptr<Job> job_;  // these three: under the seats' mutex
  std::condition_variable changed_;
  bool interrupted_ = false;
};

class Seats {
 public:
  static constexpr std::int64_t kRepeat = 1000;  // milliseconds from one call of on_time_limit() to the next

  // Both are called by the thread that runs run().
  class Host {
   public:
    // The request at this seat takes longer than it may; called again each kRepeat. It may be over by now.
    virtual void on_time_limit(Seat& seat) = 0;
    // There is something to read from `wakeup`, or a signal has cut a wait short.
    virtual void on_signal() = 0;

   protected:
    ~Host() = default;
  };

  // One object in a process, as of Channels. `channels` and `host` outlive it. `wakeup` is a
  // descriptor that the handlers of signals write to, of any thread: a signal may come between two waits.
  Seats(Channels& channels, unsigned count, Host& host, int wakeup);
  ~Seats();
  Seats(const Seats&) = delete;
  Seats& operator=(const Seats&) = delete;

  std::size_t count() const { return seats_.size(); }
  Seat& seat(std::size_t number) { return *seats_[number]; }

  // Reads the channels until all have ended. The seats' requests may go on then; next() gives them no more.
  void run();

 private:
  friend class Seat;
  using Job = Seat::Job;

  struct Channel {
    explicit Channel(int socket) : descriptor(socket) {}
    const int descriptor;
    bool ended = false;  // for reading
    std::string in;      // a frame that is not whole
    std::mutex writing;  // of whole frames
  };

  static void in_child();
  std::shared_ptr<Job> wait_for_job(Seat& seat);
  void forget(const Seat& seat);
  void done(Seat& seat);
  void read(std::size_t channel);
  bool take_frame(std::size_t channel, const protocol::FrameHeader& header, std::string_view frame);
  void end(std::size_t channel, const char* nonsense);
  int milliseconds_to_wait();
  void check_time_limits();

  Channels& channels_;
  Host& host_;
  const int wakeup_;
  std::vector<std::unique_ptr<Channel>> all_;
  std::vector<std::unique_ptr<Seat>> seats_;
  std::size_t open_ = 0;  // channels

  std::mutex mutex_;
  std::map<std::pair<std::size_t, std::uint32_t>, std::shared_ptr<Job>> jobs_;  // by channel and stream
  std::deque<std::shared_ptr<Job>> waiting_;                                    // for a seat
  std::vector<Seat*> free_;                                                     // the last one used is last
  bool leaving_ = false;
};

}  // namespace fivefold::worker
