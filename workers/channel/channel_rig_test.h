#pragma once
// For tests of a worker's channels: frames, and the server's end of a channel.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "channel/channels.h"

namespace fivefold::worker {

using protocol::Frame;
using protocol::FrameHeader;
using protocol::RequestHeader;

inline std::string frame(Frame kind, std::uint32_t stream, std::string_view payload = {}, std::uint8_t flags = 0) {
  const FrameHeader header{static_cast<std::uint32_t>(payload.size()), kind, flags, 0, stream};
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  return bytes.append(payload);
}

inline std::string request(std::uint32_t stream, std::string_view variables, std::string_view body = {},
                           std::uint8_t flags = protocol::kLast) {
  RequestHeader head;
  head.body_length = body.size();
  head.variables = static_cast<std::uint32_t>(std::ranges::count(variables, '\0'));
  head.variables_size = static_cast<std::uint32_t>(variables.size());
  std::string bytes(reinterpret_cast<const char*>(&head), sizeof head);
  bytes.append(variables).append(body);
  return frame(Frame::request, stream, bytes, flags);
}

// The server's end of a channel, and what came from it frame by frame.
class Server {
 public:
  Server() {
    int pair[2];
    EXPECT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
    mine_ = pair[0];
    worker = pair[1];
  }
  ~Server() { hang_up(); }
  void send(std::string_view bytes) {
    ASSERT_EQ(static_cast<ssize_t>(bytes.size()), ::send(mine_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
  }
  void hang_up() {
    if (mine_ >= 0) close(std::exchange(mine_, -1));
  }
  struct Received {
    Frame kind;
    std::uint8_t flags;
    std::uint32_t stream;
    std::string payload;
  };
  Received receive() {
    FrameHeader header;
    EXPECT_EQ(static_cast<ssize_t>(sizeof header), recv(mine_, &header, sizeof header, MSG_WAITALL));
    std::string payload(header.size, '\0');
    if (header.size > 0) {
      EXPECT_EQ(static_cast<ssize_t>(header.size), recv(mine_, payload.data(), payload.size(), MSG_WAITALL));
    }
    return {header.kind, header.flags, header.stream, payload};
  }
  bool silent() {
    char one = 0;
    return recv(mine_, &one, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
  }
  int worker = -1;

 private:
  int mine_ = -1;
};

inline constexpr std::string_view kVariables("A=1\0EMPTY=\0B=x=y\0", 17);

}  // namespace fivefold::worker
