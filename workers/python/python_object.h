#pragma once
// A counted reference to a Python object, and little else: the C API's own names are used beside it.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string>
#include <string_view>
#include <utility>

namespace fivefold::python {

// Owns one reference, or none. Everything here needs the GIL.
class Ref {
 public:
  Ref() = default;
  // Takes over a reference that the caller owns ("new reference" in the C API's words); nullptr is allowed.
  static Ref take(PyObject* object) { return Ref(object); }
  // Shares an object that somebody else owns ("borrowed reference").
  static Ref share(PyObject* object) { return Ref(Py_XNewRef(object)); }

  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref&& other) noexcept {
    PyObject* old = std::exchange(object_, std::exchange(other.object_, nullptr));
    Py_XDECREF(old);
    return *this;
  }
  Ref(const Ref&) = delete;
  Ref& operator=(const Ref&) = delete;
  ~Ref() { Py_XDECREF(object_); }

  explicit operator bool() const { return object_ != nullptr; }
  PyObject* get() const { return object_; }
  PyObject* release() { return std::exchange(object_, nullptr); }

 private:
  explicit Ref(PyObject* object) : object_(object) {}
  PyObject* object_ = nullptr;
};

// Gives the GIL away for as long as it lives, so that the application's own threads run while this one waits.
class Unlocked {
 public:
  Unlocked() : thread_(PyEval_SaveThread()) {}
  ~Unlocked() { PyEval_RestoreThread(thread_); }
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;

 private:
  PyThreadState* thread_;
};

// A native string of WSGI: each byte is one character (PEP 3333, "Unicode Issues").
inline Ref latin1(std::string_view bytes) {
  return Ref::take(PyUnicode_DecodeLatin1(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), nullptr));
}

// The bytes of a str without characters above U+00FF, for as long as it lives; a view of nothing, and false, otherwise.
inline bool latin1_bytes(PyObject* text, std::string_view& bytes) {
  if (PyUnicode_READY(text) != 0 || PyUnicode_KIND(text) != PyUnicode_1BYTE_KIND) return false;
  bytes = {reinterpret_cast<const char*>(PyUnicode_1BYTE_DATA(text)),
           static_cast<std::size_t>(PyUnicode_GET_LENGTH(text))};
  return true;
}

inline std::string_view bytes_of(PyObject* bytes) {
  return {PyBytes_AS_STRING(bytes), static_cast<std::size_t>(PyBytes_GET_SIZE(bytes))};
}

// str(object) as UTF-8, for messages; what cannot be shown is said so. Leaves no exception.
std::string to_text(PyObject* object);

// Makes a type out of `spec`; nullptr with an exception set when that fails.
inline PyTypeObject* make_type(PyType_Spec& spec) { return reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec)); }

}  // namespace fivefold::python
