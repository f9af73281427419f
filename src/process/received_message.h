#pragma once
// The message at hand of the spawning helper, with the descriptors that came with it.
#include <sys/types.h>

#include <span>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"

namespace fivefold::process {

class ReceivedMessage {
 public:
  ReceivedMessage();

  // Takes the next message of a SOCK_SEQPACKET socket in place of the one before, without waiting. Its size; 0 at the
  // end of the connection or when it is larger than any may be; -1 with errno, as EAGAIN.
  ssize_t receive(int socket);

  // Until the next receive().
  std::string_view text() const { return {buffer_.data(), size_}; }
  // The same bytes as `part`, which lies in text(), to be pointed into by argv and envp.
  std::span<char> writable(std::string_view part) {
    return {buffer_.data() + (part.data() - buffer_.data()), part.size()};
  }

  // In the order they were sent; the reader may take them.
  std::vector<UniqueFd>& descriptors() { return descriptors_; }
  // Some could not be received, for want of room in this process's table.
  bool lost_descriptors() const { return lost_descriptors_; }

 private:
  std::vector<char> buffer_;
  std::size_t size_ = 0;
  std::vector<UniqueFd> descriptors_;
  bool lost_descriptors_ = false;
};

// Whether a call on a socket that failed with this errno may succeed later.
bool is_temporary(int error);

}  // namespace fivefold::process
