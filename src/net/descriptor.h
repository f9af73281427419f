#pragma once
// Asio's descriptor, counted because an operation under way outlives the Stream that let go of it. One thread only: no
// atomics.
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>

namespace fivefold::net {

class Stream;

namespace detail {

struct Descriptor {
  using Asio = boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type>;
  Descriptor(boost::asio::io_context& context, int fd, Stream* owner) : asio(context, fd), stream(owner) {}
  Asio asio;
  Stream* stream;  // null once the Stream is gone
  unsigned references = 1;

  void start_read();  // if the stream still wants one
  void tls_readable();
  void read_done(const boost::system::error_code& error, std::size_t bytes);
  void write_ready(const boost::system::error_code& error);
};

void intrusive_ptr_add_ref(Descriptor* descriptor);
void intrusive_ptr_release(Descriptor* descriptor);

}  // namespace detail
}  // namespace fivefold::net
