#pragma once
// One channel of an ASGI worker: many requests at once, told apart by their streams, on a socket that never blocks.
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gateway/worker_protocol.h"
#include "python_object.h"

namespace fivefold::python {

namespace protocol = gateway::worker;

class AsgiExchange;
class Asgi;

class AsgiChannel {
 public:
  // `worker` outlives the channel; `descriptor` stays whose it was.
  AsgiChannel(Asgi& worker, int descriptor) : worker_(worker), descriptor_(descriptor) {}
  ~AsgiChannel();
  AsgiChannel(const AsgiChannel&) = delete;
  AsgiChannel& operator=(const AsgiChannel&) = delete;

  int descriptor() const { return descriptor_; }
  Asgi& worker() { return worker_; }

  // Called by the loop when there is something to read. False with an exception set.
  bool on_readable();
  // Sends what is there. What does not go now goes when the loop says that it can. False with an exception set.
  bool flush();

  // Puts a frame into what is to be sent, and sees to it that it is.
  void put(protocol::Frame kind, std::uint8_t flags, std::uint32_t stream, std::string_view payload = {});
  // The exchange is over; its stream's number is nobody's.
  void forget(std::uint32_t stream);
  // Its response is whole: unless its application is over by the time of the next flush, the end leaves before that.
  void completed(std::uint32_t stream);
  // The worker leaves: those who can tell their clients do so.
  void tell_leaving();
  bool idle() const { return exchanges_.empty(); }
  // Tells those whose time has come; `next` becomes the earliest deadline of the others.
  void check_time_limits(std::int64_t now, std::int64_t& next);

  Ref readable, writable;  // what the loop calls

 private:
  bool take_frame(const protocol::FrameHeader& header, std::string_view payload);
  bool begin(const protocol::FrameHeader& header, std::string_view payload);
  void end(const char* nonsense = nullptr);
  std::vector<Ref> all() const;

  Asgi& worker_;
  int descriptor_;
  bool ended_ = false;
  std::string in_;
  std::string out_;
  std::size_t sent_ = 0;     // of `out_`
  bool waiting_ = false;     // for the loop to say that there is room
  bool will_flush_ = false;  // the loop has been told
  std::vector<std::uint32_t> completed_;
  std::unordered_map<std::uint32_t, PyObject*> exchanges_;  // each holds a reference
};

}  // namespace fivefold::python
