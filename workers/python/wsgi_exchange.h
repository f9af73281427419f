#pragma once
// One request and its response as the application sees them: the object that is start_response, and the write() that it
// returns (PEP 3333, "The start_response() Callable").
#include <cstdint>

#include "channel/request.h"
#include "python_object.h"
#include "wsgi_head.h"

namespace fivefold::python {

// What has become of bytes that were to be sent.
enum class Sent : std::uint8_t {
  more,     // on their way; the application is asked for more
  enough,   // nothing that it gives from here on would be sent
  refused,  // no head has been given; a Python exception says so
};

// Lives in a Python object, which the application may keep for longer than the request.
class WsgiExchange {
 public:
  // Makes the types; false with an exception set when that fails. Once, before the others.
  static bool prepare();

  // A new exchange for `request`, which lives until finish(). Null with an exception set when there is no memory.
  static Ref make(worker::Request& request);
  static WsgiExchange& of(PyObject* exchange);

  // start_response(status, headers, exc_info=None). False with an exception set.
  bool start(PyObject* status, PyObject* headers, PyObject* exc_info);
  // Sends a block of the body, the head before it if need be, at once: nothing is held back between two blocks.
  Sent send(std::string_view block);
  // The same for several blocks that are known to be the whole body, which then has a length.
  Sent send_all(PyObject* const* blocks, Py_ssize_t count);
  // The body is over. False with an exception set when there was no head.
  bool end();
  // The request is over: what the application calls from now on gets an error.
  void finish() { request_ = nullptr; }

  bool head_sent() const { return head_sent_; }
  bool is_over() const { return request_ == nullptr; }
  // How much more of a body can be sent; ~0 when no length was promised.
  std::uint64_t room() const { return head_.content_length ? *head_.content_length - sent_ : ~std::uint64_t{0}; }
  // Bytes that the application promised and did not give.
  std::uint64_t missing() const;
  // Bytes were left out because they were more than the application had promised.
  bool was_cut() const { return cut_; }

 private:
  void send_head();
  // Whether bytes of a body are sent at all.
  bool carries_body() const { return head_.has_body() && !request_->head_only(); }

  worker::Request* request_ = nullptr;
  WsgiHead head_;
  bool started_ = false;
  bool head_sent_ = false;
  bool cut_ = false;
  std::uint64_t sent_ = 0;
};

}  // namespace fivefold::python
