#include "net/readable.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>

namespace fivefold::net {
namespace {

struct Readable {
  using Descriptor = boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type>;
  Readable(Loop& loop, UniqueFd fd, std::function<bool()> r)
      : descriptor(loop.context(), fd.release()), ready(std::move(r)) {}
  Descriptor descriptor;
  std::function<bool()> ready;
};

// The operation under way owns it.
void wait(std::shared_ptr<Readable> readable) {
  auto& descriptor = readable->descriptor;
  descriptor.async_wait(Readable::Descriptor::wait_read,
                        [readable = std::move(readable)](const boost::system::error_code& error) {
                          if (!error && readable->ready()) wait(readable);
                        });
}

}  // namespace

void on_readable(Loop& loop, UniqueFd fd, std::function<bool()> ready) {
  wait(std::make_shared<Readable>(loop, std::move(fd), std::move(ready)));
}

}  // namespace fivefold::net
