#include "serve/interim_writer.h"

namespace fivefold::serve {

// An error is not told: whoever reads from the connection, or writes the final response, meets it too.
void InterimWriter::write_now() {
  if (unsent_.empty()) return;
  const iovec part{unsent_.data(), unsent_.size()};
  const auto written = stream_.write_some({&part, 1});
  if (written) unsent_.erase(0, *written);
}

net::Task<void> InterimWriter::write_later() {
  while (!unsent_.empty()) {
    const auto ready = co_await stream_.writable(stream_.loop().now() + silence_);
    if (!ready) co_return;
    write_now();
  }
}

void InterimWriter::must_send(std::string_view head) {
  if (!open_) return;
  unsent_ += head;
  write_now();
  if (!unsent_.empty() && later_.done()) later_ = net::Running(write_later());
}

void InterimWriter::may_send(std::string_view head) {
  if (!open_) return;
  write_now();
  if (!unsent_.empty()) return;
  const iovec part{const_cast<char*>(head.data()), head.size()};
  const auto written = stream_.write_some({&part, 1});
  if (written && *written > 0) must_send(head.substr(*written));
}

std::string InterimWriter::close() {
  open_ = false;
  later_ = {};
  return std::exchange(unsent_, {});
}

}  // namespace fivefold::serve
