#include "wsgi_head.h"

#include <algorithm>
#include <charconv>

#include "header_rules.h"

namespace fivefold::python {
namespace {

bool refuse_type(const char* what, PyObject* given) {
  PyErr_Format(PyExc_TypeError, "start_response: %s, not %.100s", what, Py_TYPE(given)->tp_name);
  return false;
}

}  // namespace

bool WsgiHead::write(PyObject* status_text, PyObject* headers) {
  clear();
  if (!write_status(status_text)) return false;
  if (!PyList_Check(headers)) return refuse_type("the headers must be a list of (name, value) tuples", headers);
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(headers); ++i)
    if (!write_header(PyList_GET_ITEM(headers, i))) return false;
  return true;
}

bool WsgiHead::write_status(PyObject* text) {
  if (!PyUnicode_Check(text)) return refuse_type("the status must be a str such as '200 OK'", text);
  std::string_view line;
  if (!latin1_bytes(text, line) || !is_value(line)) {
    PyErr_Format(PyExc_ValueError, "start_response: the status has characters that cannot be sent: %.100R", text);
    return false;
  }
  const auto* end = line.data() + std::min<std::size_t>(line.size(), 3);
  const auto [stop, error] = std::from_chars(line.data(), end, status);
  if (error != std::errc() || stop != line.data() + 3 || (line.size() > 3 && line[3] != ' ') || status < 100) {
    PyErr_Format(PyExc_ValueError,
                 "start_response: the status must be three digits and a reason ('200 OK'), not %.100R", text);
    return false;
  }
  if (status < 200) {
    PyErr_Format(PyExc_ValueError, "start_response: %d is an informational status; a response needs a final one",
                 status);
    return false;
  }
  bytes.append("Status: ").append(line).append("\r\n");
  return true;
}

bool WsgiHead::write_header(PyObject* pair) {
  if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2)
    return refuse_type("each header must be a (name, value) tuple", pair);
  PyObject* name_text = PyTuple_GET_ITEM(pair, 0);
  PyObject* value_text = PyTuple_GET_ITEM(pair, 1);
  if (!PyUnicode_Check(name_text)) return refuse_type("the name of a header must be a str", name_text);
  if (!PyUnicode_Check(value_text)) {
    PyErr_Format(PyExc_TypeError, "start_response: the value of %.100R must be a str, not %.100s", name_text,
                 Py_TYPE(value_text)->tp_name);
    return false;
  }
  std::string_view name, value;
  if (!latin1_bytes(name_text, name) || !is_token(name)) {
    PyErr_Format(PyExc_ValueError, "start_response: %.100R is no name of a header", name_text);
    return false;
  }
  if (!latin1_bytes(value_text, value) || !is_value(value)) {
    PyErr_Format(PyExc_ValueError, "start_response: the value of %.100R has characters that cannot be sent: %.200R",
                 name_text, value_text);
    return false;
  }
  if (is_hop_by_hop(name)) {
    PyErr_Format(PyExc_ValueError, "start_response: %.100R belongs to the server's connection (PEP 3333); leave it out",
                 name_text);
    return false;
  }
  if (name.size() == 6 && equals_lower(name, "status")) {
    PyErr_SetString(PyExc_ValueError, "start_response: the status is the first argument, not a header");
    return false;
  }
  if (name.size() == 14 && equals_lower(name, "content-length")) return take_content_length(value_text, value);
  bytes.append(name).append(": ").append(value).append("\r\n");
  return true;
}

bool WsgiHead::take_content_length(PyObject* value, std::string_view digits) {
  std::uint64_t length = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (error != std::errc() || stop != digits.data() + digits.size() || digits.empty() ||
      (content_length && *content_length != length)) {
    PyErr_Format(PyExc_ValueError, "start_response: Content-Length must be one number, not %.100R", value);
    return false;
  }
  if (!content_length && status != 204) bytes.append("Content-Length: ").append(digits).append("\r\n");
  content_length = length;
  return true;
}

}  // namespace fivefold::python
