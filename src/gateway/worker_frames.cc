#include "gateway/worker_frames.h"

#include <algorithm>
#include <cstring>

namespace fivefold::gateway {
namespace {

using worker::Frame;
using worker::FrameHeader;
using worker::RequestHeader;

template <class T>
void append_bytes(const T& value, std::string& out) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// What a kind that comes from a worker may be: its name, its longest content, its flags.
struct Kind {
  std::string_view name;
  std::size_t most = 0;
  std::uint8_t flags = 0;
};

constexpr std::uint8_t kEndFlags =
    worker::kIdle | worker::kLeaving | worker::kBroken | worker::kFailed | worker::kTimedOut;
constexpr std::uint8_t kAnyFlags = 0xff;  // a severity

Kind kind_of(Frame frame, std::size_t head_limit) {
  switch (frame) {
    case Frame::head:
      return {"head", head_limit, 0};
    case Frame::interim:
      return {"interim head", head_limit, 0};
    case Frame::output:
      return {"output", worker::kMostOutput, 0};
    case Frame::end:
      return {"end", worker::kMostText, kEndFlags};
    case Frame::idle:
      return {"idle", 0, worker::kLeaving};
    case Frame::want:
      return {"want", sizeof(std::uint32_t), 0};
    case Frame::log:
      return {"log", worker::kMostOutput, kAnyFlags};
    default:
      return {};
  }
}

}  // namespace

std::size_t room_for_body(const process::StringBlock& variables) {
  if (!request_fits(variables)) return 0;
  return worker::kMostFrame - sizeof(RequestHeader) - variables.bytes().size();
}

bool request_fits(const process::StringBlock& variables) {
  return variables.bytes().size() <= worker::kMostFrame - sizeof(RequestHeader);
}

void append_worker_request(const WorkerRequest& request, const process::StringBlock& variables, std::string& out) {
  const auto variables_size = static_cast<std::uint32_t>(variables.bytes().size());
  append_bytes(
      FrameHeader{.size = static_cast<std::uint32_t>(sizeof(RequestHeader) + variables_size + request.first_body),
                  .kind = Frame::request,
                  .flags = static_cast<std::uint8_t>(
                      (request.body_ends ? worker::kLast : 0) | (request.head ? worker::kHead : 0) |
                      (request.windowed ? worker::kWindowed : 0) | (request.upgrade ? worker::kUpgrade : 0)),
                  .stream = request.stream},
      out);
  append_bytes(RequestHeader{.body_length = request.body_length,
                             .time_limit_ms = request.time_limit_ms,
                             .variables = variables.count(),
                             .variables_size = variables_size},
               out);
}

void append_worker_body_header(std::uint32_t stream, std::size_t size, bool last, std::string& out) {
  append_bytes(FrameHeader{.size = static_cast<std::uint32_t>(size),
                           .kind = Frame::body,
                           .flags = last ? worker::kLast : std::uint8_t{0},
                           .stream = stream},
               out);
}

void append_worker_signal(Frame kind, std::uint32_t stream, std::string& out) {
  append_bytes(FrameHeader{.kind = kind, .stream = stream}, out);
}

void append_worker_window(std::uint32_t stream, std::uint32_t bytes, std::string& out) {
  append_bytes(FrameHeader{.size = sizeof bytes, .kind = Frame::window, .stream = stream}, out);
  append_bytes(bytes, out);
}

Result<void> WorkerFrameReader::check(const FrameHeader& header) const {
  const Kind kind = kind_of(header.kind, head_limit_);
  const auto nonsense = [](std::string what) {
    return fail(Code::program_failed, "The worker sent what is no part of its language: " + std::move(what) + ".");
  };
  if (kind.name.empty()) return nonsense("a frame of kind " + std::to_string(static_cast<unsigned>(header.kind)));
  const std::string name(kind.name);
  if (header.size > kind.most) {
    if (header.kind == Frame::head || header.kind == Frame::interim)
      return fail(Code::program_failed, "The head of the response has " + std::to_string(header.size) +
                                            " bytes, more than output_head, " + std::to_string(head_limit_) + ".");
    return nonsense("a frame '" + name + "' of " + std::to_string(header.size) + " bytes");
  }
  if ((header.flags & ~kind.flags) != 0)
    return nonsense("a frame '" + name + "' with flags " + std::to_string(header.flags));
  if (header.kind == Frame::want && header.size != sizeof(std::uint32_t)) return nonsense("a 'want' without a number");
  return {};
}

Result<WorkerFrameReader::Piece> WorkerFrameReader::read(std::string_view bytes) {
  Piece piece;
  if (!open_) {
    if (bytes.size() < sizeof(FrameHeader)) return piece;
    std::memcpy(&frame_, bytes.data(), sizeof frame_);
    if (auto sound = check(frame_); !sound) return std::unexpected(std::move(sound.error()));
    // A number is handed out whole only.
    if (frame_.kind == Frame::want && bytes.size() < sizeof frame_ + frame_.size) return piece;
    bytes.remove_prefix(sizeof frame_);
    piece.consumed = sizeof frame_;
    left_ = frame_.size;
    open_ = true;
    begun_ = false;
  } else if (bytes.empty()) {
    return piece;
  }
  const auto size = std::min<std::size_t>(left_, bytes.size());
  piece.kind = frame_.kind;
  piece.flags = frame_.flags;
  piece.stream = frame_.stream;
  piece.bytes = bytes.substr(0, size);
  piece.consumed += size;
  piece.begins = !begun_;
  begun_ = true;
  left_ -= static_cast<std::uint32_t>(size);
  piece.whole = left_ == 0;
  open_ = !piece.whole;
  if (frame_.kind == Frame::want) std::memcpy(&piece.number, piece.bytes.data(), sizeof piece.number);
  return piece;
}

}  // namespace fivefold::gateway
