#pragma once
// One server's event loop as the spawning helper sees it: its connection, the replies that it has not read yet, its
// processes.
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/unique_fd.h"
#include "process/event_poll.h"

namespace fivefold::process {

class HelperClient {
 public:
  // `socket` is watched under `token` in `events`, which outlives this.
  HelperClient(EventPoll& events, UniqueFd socket, std::uint64_t token)
      : events_(events), socket_(std::move(socket)), token_(token) {}

  int socket() const { return socket_.get(); }
  std::uint64_t token() const { return token_; }

  // Sends a message, or keeps it until the client reads. False when the client is to be dropped because it does not.
  bool reply(std::string_view message);
  // Sends a message with descriptors now; false, and nothing is sent, when that cannot be.
  bool try_send(std::string_view message, std::span<const int> fds);
  // To be called when the socket can be written to again. False when the client is to be dropped.
  bool send_unsent();

  // The processes it has not released: its id for each to the token in StartedProcesses.
  std::unordered_map<std::uint64_t, std::uint64_t> processes;

 private:
  EventPoll& events_;
  UniqueFd socket_;
  std::uint64_t token_;
  std::deque<std::string> unsent_;
};

}  // namespace fivefold::process
