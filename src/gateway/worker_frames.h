#pragma once
// The frames of a channel between the server and a worker (worker_protocol.h), on the server's side: bytes only.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "gateway/worker_protocol.h"
#include "process/spawn_plan.h"

namespace fivefold::gateway {

// What a request frame says besides its variables.
struct WorkerRequest {
  std::uint32_t stream = 0;
  std::uint64_t body_length = 0;  // all of it; worker::kUnknownLength
  std::uint32_t time_limit_ms = 0;
  std::size_t first_body = 0;  // bytes of the body that are sent right behind what is appended here
  bool body_ends = true;       // with those bytes
  bool head = false;           // a HEAD
  bool windowed = false;       // the response's body comes only as windows allow
  bool upgrade = false;        // a WebSocket handshake
};

// The bytes of a body that a request frame with these variables has room for; 0 as well when the variables alone are
// too large for a frame (then request_fits() is false).
std::size_t room_for_body(const process::StringBlock& variables);
bool request_fits(const process::StringBlock& variables);

// The headers of a request frame. variables.bytes(), what CgiEnvironment::build() gives and what fits, and the first
// bytes of the body follow.
void append_worker_request(const WorkerRequest& request, const process::StringBlock& variables, std::string& out);
// The header of a body frame for `size` bytes that follow, at most worker::kMostOutput.
void append_worker_body_header(std::uint32_t stream, std::size_t size, bool last, std::string& out);
// body_broken or abort.
void append_worker_signal(worker::Frame kind, std::uint32_t stream, std::string& out);
// So many more bytes of a windowed response may be sent.
void append_worker_window(std::uint32_t stream, std::uint32_t bytes, std::string& out);

// Reads what a worker sends; hands out views into what it was fed. A worker may be hostile: a kind that it does not
// send, flags that a kind does not have and a length beyond its kind's limit are Code::program_failed.
class WorkerFrameReader {
 public:
  // head, interim: bytes of the longest; over it the frame is an error.
  explicit WorkerFrameReader(std::size_t head_limit) : head_limit_(head_limit) {}

  struct Piece {
    std::size_t consumed = 0;  // 0: more bytes are needed for anything at all
    worker::Frame kind{};
    std::uint8_t flags = 0;
    std::uint32_t stream = 0;
    std::string_view bytes;    // of its content: the next part
    bool begins = false;       // the first piece of its frame
    bool whole = false;        // with this piece the frame has ended
    std::uint32_t number = 0;  // of a whole `want`
  };
  // The next piece of a frame. Content is handed out as it comes, so that no frame has to be kept whole.
  Result<Piece> read(std::string_view bytes);
  // Whether the next byte begins a frame.
  bool between_frames() const { return left_ == 0 && !open_; }

 private:
  Result<void> check(const worker::FrameHeader& header) const;

  std::size_t head_limit_;
  worker::FrameHeader frame_{};
  std::uint32_t left_ = 0;  // of the frame's content
  bool open_ = false;       // its header has been read, its end not handed out
  bool begun_ = false;
};

}  // namespace fivefold::gateway
