#include "wsgi_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace fivefold::python {
namespace {

constexpr Py_ssize_t kBlock = 8192;               // blksize when the application gives none
constexpr std::size_t kDirectBlock = 128 * 1024;  // read at once by descriptor

PyTypeObject* file_type = nullptr;
PyTypeObject* raw_type = nullptr;     // io.FileIO
PyTypeObject* reader_type = nullptr;  // io.BufferedReader

struct File {
  PyObject_HEAD PyObject* filelike;
  Py_ssize_t blksize;
};

File* self_of(PyObject* object) { return reinterpret_cast<File*>(object); }

PyObject* create(PyTypeObject* own, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"filelike", "blksize", nullptr};
  PyObject* filelike = nullptr;
  Py_ssize_t blksize = kBlock;
  if (PyArg_ParseTupleAndKeywords(arguments, keywords, "O|n:file_wrapper", const_cast<char**>(names), &filelike,
                                  &blksize) == 0)
    return nullptr;
  PyObject* made = own->tp_alloc(own, 0);
  if (made == nullptr) return nullptr;
  self_of(made)->filelike = Py_NewRef(filelike);
  self_of(made)->blksize = blksize > 0 ? blksize : kBlock;
  return made;
}

PyObject* next(PyObject* object) {
  Ref block = Ref::take(PyObject_CallMethod(self_of(object)->filelike, "read", "n", self_of(object)->blksize));
  if (!block) return nullptr;
  const int some = PyObject_IsTrue(block.get());
  return some == 1 ? block.release() : nullptr;
}

// Closes the file, when it is one that can be closed.
PyObject* close_file(PyObject* object, PyObject*) {
  const Ref close = Ref::take(PyObject_GetAttrString(self_of(object)->filelike, "close"));
  if (!close) {
    if (PyErr_ExceptionMatches(PyExc_AttributeError) == 0) return nullptr;
    PyErr_Clear();
    Py_RETURN_NONE;
  }
  return PyObject_CallNoArgs(close.get());
}

int traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self_of(object)->filelike);
  return 0;
}

int clear(PyObject* object) {
  Py_CLEAR(self_of(object)->filelike);
  return 0;
}

void destroy(PyObject* object) {
  PyTypeObject* own = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  clear(object);
  own->tp_free(object);
  Py_DECREF(own);
}

// The number that a method without arguments returns; -1, without an exception, when it does not.
long long number_from(PyObject* object, const char* method) {
  const Ref result = Ref::take(PyObject_CallMethod(object, method, nullptr));
  const long long number = result ? PyLong_AsLongLong(result.get()) : -1;
  if (PyErr_Occurred() == nullptr) return number;
  PyErr_Clear();
  return -1;
}

// A file of io.open(..., "rb") or io.FileIO, and nothing that reads one through something else: what gzip.open()
// returns has the descriptor of the compressed file.
bool is_plain_file(PyObject* filelike) {
  if (Py_IS_TYPE(filelike, raw_type)) return true;
  if (!Py_IS_TYPE(filelike, reader_type)) return false;
  const Ref raw = Ref::take(PyObject_GetAttrString(filelike, "raw"));
  if (!raw) PyErr_Clear();
  return raw && Py_IS_TYPE(raw.get(), raw_type);
}

bool find_types() {
  const Ref io = Ref::take(PyImport_ImportModule("io"));
  if (!io) return false;
  raw_type = reinterpret_cast<PyTypeObject*>(PyObject_GetAttrString(io.get(), "FileIO"));
  reader_type = reinterpret_cast<PyTypeObject*>(PyObject_GetAttrString(io.get(), "BufferedReader"));
  return raw_type != nullptr && reader_type != nullptr;
}

}  // namespace

bool WsgiFile::prepare() {
  static PyMethodDef methods[] = {{"close", close_file, METH_NOARGS, "closes the file"},
                                  {nullptr, nullptr, 0, nullptr}};
  static PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(create)},
                                {Py_tp_dealloc, reinterpret_cast<void*>(destroy)},
                                {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                                {Py_tp_clear, reinterpret_cast<void*>(clear)},
                                {Py_tp_methods, methods},
                                {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
                                {Py_tp_iternext, reinterpret_cast<void*>(next)},
                                {Py_tp_doc, const_cast<char*>("file_wrapper(filelike, blksize=8192)")},
                                {0, nullptr}};
  static PyType_Spec spec = {"fivefold.FileWrapper", sizeof(File), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};
  file_type = make_type(spec);
  return file_type != nullptr && find_types();
}

PyObject* WsgiFile::type() { return reinterpret_cast<PyObject*>(file_type); }
bool WsgiFile::is(PyObject* result) { return Py_IS_TYPE(result, file_type); }

bool WsgiFile::send(PyObject* file, WsgiExchange& exchange) {
  PyObject* filelike = self_of(file)->filelike;
  if (!is_plain_file(filelike)) return false;
  const auto descriptor = static_cast<int>(number_from(filelike, "fileno"));
  struct stat status{};
  if (descriptor < 0 || fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return false;
  // A file object may have read ahead: where it is, not where its descriptor is.
  long long offset = number_from(filelike, "tell");
  if (offset < 0) return false;
  const auto buffer = std::make_unique_for_overwrite<char[]>(kDirectBlock);
  for (;;) {
    const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(kDirectBlock, exchange.room()));
    if (most == 0) return true;
    ssize_t count = 0;
    int error = 0;
    {
      const Unlocked unlocked;
      count = pread(descriptor, buffer.get(), most, offset);
      error = errno;
    }
    if (count < 0 && error == EINTR) {
      if (PyErr_CheckSignals() != 0) return true;
      continue;
    }
    if (count < 0) {
      errno = error;
      PyErr_SetFromErrno(PyExc_OSError);
      return true;
    }
    if (count == 0) return true;
    offset += count;
    if (exchange.send({buffer.get(), static_cast<std::size_t>(count)}) != Sent::more) return true;
    if (PyErr_CheckSignals() != 0) return true;
  }
}

}  // namespace fivefold::python
