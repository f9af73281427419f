#pragma once
// The head of a WSGI response: status and headers of start_response() (PEP 3333) checked and written as a CGI head.
#include <cstdint>
#include <optional>
#include <string>

#include "python_object.h"

namespace fivefold::python {

struct WsgiHead {
  std::string bytes;  // "Status: 200 OK\r\nName: value\r\n", no blank line
  int status = 0;
  std::optional<std::uint64_t> content_length;  // as the application says

  void clear() {
    bytes.clear();
    status = 0;
    content_length.reset();
  }
  // Whether a response with this status has a body at all (RFC 9110 section 6.4.1).
  bool has_body() const { return status != 204 && status != 304; }

  // Writes what start_response was given; whatever was here before is gone. False with a Python exception that says
  // what is wrong with which value: the application sees it where it made the mistake.
  bool write(PyObject* status_text, PyObject* headers);

 private:
  bool write_status(PyObject* text);
  bool write_header(PyObject* pair);
  bool take_content_length(PyObject* value, std::string_view digits);
};

}  // namespace fivefold::python
