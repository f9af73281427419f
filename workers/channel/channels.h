#pragma once
// All channels of a worker: which of them brings the next request.
#include <list>
#include <span>
#include <vector>

#include "channel/request.h"

namespace fivefold::worker {

class Channels {
 public:
  // Takes the descriptors over. One object in a process: children that the script forks lose their channels at once, so
  // that nothing they print or leave open reaches the server.
  // `claims` is the page that the server has given this worker, or nullptr; it outlives this.
  explicit Channels(std::span<const int> descriptors, std::atomic<std::uint32_t>* claims = nullptr);
  ~Channels();
  Channels(const Channels&) = delete;
  Channels& operator=(const Channels&) = delete;

  // Waits for a request, which lives until complete(). nullptr: every channel has ended and the worker leaves, or
  // interrupted().
  Request* next();
  // Tells the server how the request ended. Afterwards next() may be called again, unless the worker leaves.
  void complete(const Outcome& outcome);
  // The request that is under way, or nullptr.
  Request* current() { return busy_ ? &request_ : nullptr; }

  // Asked when a signal was handled while next() waits: whether it shall return without a request.
  void when_interrupted(bool (*leave)()) { leave_ = leave; }
  bool interrupted() const { return interrupted_; }

  // Those of the channels, for a language that speaks to them by itself. They stay this object's.
  std::vector<int> descriptors() const;

  // This process is a child that a script has forked: it must not serve, only exit.
  bool forked() const { return forked_; }
  // The server sent what the protocol does not have.
  bool nonsense() const { return nonsense_; }

 private:
  static void in_child();
  Wire* wait();
  bool leave_after_signal();
  bool next_header(Wire& wire, protocol::FrameHeader& header);
  bool begin(Wire& wire, const protocol::FrameHeader& header, std::string_view put_off);

  std::list<Wire> wires_;
  Wire* last_ = nullptr;
  int epoll_ = -1;  // with several channels
  Request request_;
  bool (*leave_)() = nullptr;
  bool interrupted_ = false;
  bool busy_ = false;
  bool forked_ = false;
  bool nonsense_ = false;
};

}  // namespace fivefold::worker
