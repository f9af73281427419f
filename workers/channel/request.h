#pragma once
// One request as an interpreter sees it: what was asked, the body by and by, and where the response goes. The members
// that wait block the process; none of them throws, so that they may be called between an interpreter's longjmps.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "channel/wire.h"

namespace fivefold::worker {

// "NAME=value" of a request. Both end with a NUL in memory, and live as long as the request.
struct Variable {
  std::string_view name;
  std::string_view value;
};

// How a request ended, said by the interpreter after its response.
struct Outcome {
  bool leave = false;       // the worker exits and takes no more requests
  std::uint8_t faults = 0;  // kBroken, kFailed, kTimedOut of the protocol
  std::string text;         // says which; at most kMostText bytes
};

class Request {
 public:
  // ---- what was asked ----
  std::span<const Variable> variables() const { return variables_; }
  // The value of a variable; empty also when there is none.
  std::string_view variable(std::string_view name) const;
  std::uint64_t body_length() const { return body_length_; }  // kUnknownLength
  std::uint32_t time_limit_ms() const { return time_limit_ms_; }
  bool head_only() const { return head_only_; }

  // ---- the body ----
  // Waits for and takes at most `most` bytes. 0: it is over. -1: it will not become whole, or nobody waits for the
  // answer. After finish() only what had come before.
  // With `until_signal`, a signal that was handled while it waited ends the wait: kInterrupted, and nothing is lost.
  ssize_t read_body(char* to, std::size_t most, bool until_signal = false);
  static constexpr ssize_t kInterrupted = -2;

  // ---- the response ----
  // The head in the form of Frame::head; once, before the first write(). Each of these is false when nobody reads the
  // response any more, which is no reason to stop at once.
  bool head(std::string_view lines);
  bool interim(std::string_view lines);
  bool write(std::string_view bytes);
  // Sends what was gathered, and looks whether somebody still reads.
  bool flush();
  // Sends each line of `text` for the program's log, at once. `severity` is one of syslog(3).
  void log(int severity, std::string_view text);
  // Whether the response was given up by its reader; looks without waiting.
  bool aborted();
  // The response is whole now, while the interpreter goes on for a while; what is written later is dropped.
  void finish();
  bool finished() const { return finished_; }
  // Whether anything of the response has left this process.
  bool flushed() const { return flushed_; }

 private:
  friend class Channels;
  friend class Seat;

  // Reads the request that a channel begins with, or whose content had been put off. false: no request, as the channel
  // has ended or sent nonsense.
  bool begin(Wire& wire, const protocol::FrameHeader& header, std::string_view put_off);
  void complete(const Outcome& outcome);
  // In a child that the script has forked: nothing goes to the channel any more.
  void detach();

  void handle(const protocol::FrameHeader& header);
  bool step(Wait wait);
  void look();
  void nonsense(const char* what);
  bool send(std::span<iovec> parts);
  bool open() const;
  void put_frame(protocol::Frame kind, std::uint8_t flags, std::string_view bytes);
  void put_output(std::string_view bytes);
  bool send_gathered(std::string_view more = {});
  void close_frame();

  Wire* wire_ = nullptr;
  std::uint32_t stream_ = 0;
  std::string storage_;
  std::vector<Variable> variables_;
  std::uint64_t body_length_ = 0;
  std::uint32_t time_limit_ms_ = 0;
  bool head_only_ = false;
  bool windowed_ = false;
  std::uint64_t window_ = 0;

  std::string_view first_body_;  // of the request's frame, not read yet
  std::string body_queue_;       // came while the response was being written; at most what was asked for
  std::size_t queue_read_ = 0;
  std::uint32_t frame_left_ = 0;  // of the body frame that is being read
  bool frame_last_ = false;
  std::uint64_t wanted_ = 0;  // asked for and not come yet
  bool body_over_ = false;
  bool body_broken_ = false;

  bool aborted_ = false;
  bool finished_ = false;
  bool flushed_ = false;
  bool detached_ = false;
  bool nonsense_ = false;
  std::string gathered_;                     // whole frames, and at its end perhaps one of output that still grows
  std::size_t growing_ = std::string::npos;  // where that one begins

  static constexpr std::size_t kGathered = 16 * 1024;
  static constexpr std::uint32_t kWant = 256 * 1024;
};

}  // namespace fivefold::worker
