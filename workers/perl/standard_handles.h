#pragma once
// STDIN, STDOUT and STDERR of the interpreter, connected to a request. They stay the handles that Perl has made, with
// the buffers, layers and descriptors that scripts expect; only where their lowest layer reads and writes changes.
#include "perl_api.h"

namespace fivefold::perl {

// What the handles are connected to. None of these may leave by longjmp.
class Sinks {
 public:
  virtual ~Sinks() = default;
  // Both are false when nobody wants the bytes any more.
  virtual bool output(std::string_view bytes) = 0;
  virtual bool errors(std::string_view bytes) = 0;
  // At least one byte; 0 at the end, -1 when the body broke, -2 when a signal has come.
  virtual ssize_t input(char* to, std::size_t most) = 0;
};

enum class Connect : bool { errors_only, all };

class StandardHandles {
 public:
  // In a worker, once. With Connect::all descriptor 1 is `output` from now on (it is copied), and 0 reads nothing.
  void start(Connect what, int output);
  // Until disconnect() the handles speak with `sinks`.
  void connect(Sinks& sinks);
  void disconnect();

  // The output of a request is on its way: empties Perl's buffer of STDOUT.
  void flush();
  bool flushes_always() const;  // $| is set
  // tie is undone; objects may be destroyed by it.
  void untie();
  // Undoes what a script has done to the handles: layers, `$|`, select, formats, other files opened under their names.
  void restore();

  // STDIN reads descriptor 0 instead of the sinks, as a child shares it; `file` is put there.
  void share_input(int file);
  bool input_shared() const { return input_shared_; }

  // Descriptor 1 becomes `output`; it is copied.
  void replace_output(int output);

 private:
  struct Handle {
    GV* gv = nullptr;
    PerlIO* file = nullptr;
    PerlIOl* top = nullptr;  // its layers as they are without a script
    U32 flags = 0;           // of these, whether they have a buffer
    int descriptor = 0;
    int copy = -1;  // where the descriptor leads when it is closed
    const char* mode = "r";
  };
  void attach(Handle& handle);
  void close_strays();
  void restore(Handle& handle);

  std::vector<Handle> handles_;
  Handle* output_ = nullptr;
  Handle* input_ = nullptr;
  bool input_shared_ = false;
};

// A script has forked, and this is the child: the handles are ordinary files again.
void standard_handles_in_child();

}  // namespace fivefold::perl
