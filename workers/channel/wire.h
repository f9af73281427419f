#pragma once
// One channel's socket: bytes in through a buffer, bytes out at once. It knows the size of a frame's header and nothing
// else of what passes.
#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "gateway/worker_protocol.h"

namespace fivefold::worker {

namespace protocol = gateway::worker;

// until_signal: a signal that was handled ends the wait.
enum class Wait : char { no, yes, until_signal };

// What stands in for a socket when several requests share one.
class Link {
 public:
  // Takes up to `most` bytes. 0: nothing came, for now; -1: nothing comes any more.
  virtual ssize_t receive(char* to, std::size_t most, Wait wait) = 0;
  // Sends all of it, whole frames, waiting for room. False: nobody takes them any more.
  virtual bool send(std::span<const iovec> frames) = 0;

 protected:
  ~Link() = default;
};

class Wire {
 public:
  // Takes the descriptor over. `claims` are this channel's words of the page, or nullptr.
  explicit Wire(int descriptor, std::atomic<std::uint32_t>* claims = nullptr);
  ~Wire();
  Wire(Wire&& other) noexcept;
  Wire& operator=(Wire&&) = delete;

  int descriptor() const { return descriptor_; }
  // The other side has closed or the socket is broken; nothing more comes or goes.
  bool ended() const { return ended_; }
  void end();
  // Bytes come from `link` and go there, in place of the descriptor, which is -1. It outlives the wire, which is not
  // moved from now on.
  void attach(Link& link) { link_ = &link; }

  // What has been read and not consumed. Valid until the next call of a member that is not const.
  std::string_view buffered() const { return {buffer_.get() + begin_, end_ - begin_}; }
  void consume(std::size_t bytes) { begin_ += bytes; }
  // Drops the next bytes, also those that have not come yet.
  void skip(std::size_t bytes);

  // Whether the request of this number is ours to begin: the server has not taken it back, and cannot any more.
  bool claim(std::uint32_t stream);
  // Keeps the frame at the front of the buffer, whose header `header` has been consumed, for later: a request that has
  // come while another is under way. False: it never came whole, or there are kMostPutOff already.
  bool put_off(const protocol::FrameHeader& header);
  bool has_put_off() const { return !put_off_.empty(); }
  // Such a frame, the oldest first: header and content. There is one.
  std::string take_put_off();

  // Reads more into the buffer, which must have room (kBuffer bytes less what is buffered). false: nothing came, for
  // now (no Wait::yes) or for ever (ended()).
  bool fill(Wait wait);
  // Takes up to `most` bytes, from the buffer or straight from the socket. 0 as for fill().
  std::size_t take(char* to, std::size_t most, Wait wait);
  bool take_all(char* to, std::size_t size);

  // Sends as much as goes without waiting. The number of bytes, 0 also when it has ended.
  std::size_t send_some(std::span<const iovec> parts);
  // Waits until something can be sent; true when there is something to read.
  bool wait_sendable() const;

  static constexpr std::size_t kBuffer = 32 * 1024;
  static constexpr std::size_t kMostPutOff = 64;  // kMostAhead, and what has been taken back and not been seen yet

 private:
  std::size_t receive(char* to, std::size_t most, Wait wait);
  std::size_t receive_once(char* to, std::size_t most, Wait wait);

  int descriptor_;
  std::atomic<std::uint32_t>* claims_;
  bool ended_ = false;
  std::deque<std::string> put_off_;
  std::unique_ptr<char[]> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t skip_ = 0;  // not come yet; the buffer is empty then
  Link* link_ = nullptr;
};

}  // namespace fivefold::worker
