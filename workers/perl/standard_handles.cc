#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "standard_handles.h"

namespace fivefold::perl {

namespace {

// The lowest layer of an ordinary handle, with a Read and a Write of our own.
PerlIO_funcs layer;
Sinks* sinks = nullptr;
bool read_descriptor = false;

SSize_t write_lowest(PerlInterpreter* my_perl, PerlIO* file, const void* bytes, Size_t size) {
  const int descriptor = static_cast<int>(PerlIOUnix_fileno(aTHX_ file));
  if (sinks == nullptr) return PerlIOUnix_write(aTHX_ file, bytes, size);
  const std::string_view text(static_cast<const char*>(bytes), size);
  if (descriptor == STDERR_FILENO ? sinks->errors(text) : sinks->output(text)) return static_cast<SSize_t>(size);
  PerlIOBase(file)->flags |= PERLIO_F_ERROR;
  errno = EPIPE;
  return -1;
}

SSize_t read_lowest(PerlInterpreter* my_perl, PerlIO* file, void* to, Size_t most) {
  if (sinks == nullptr || read_descriptor) return PerlIOUnix_read(aTHX_ file, to, most);
  if ((PerlIOBase(file)->flags & PERLIO_F_CANREAD) == 0) return 0;
  while (true) {
    const ssize_t got = sinks->input(static_cast<char*>(to), most);
    if (got > 0) return got;
    if (got == 0) {
      if (most > 0) PerlIOBase(file)->flags |= PERLIO_F_EOF;
      return 0;
    }
    if (got == -1) {
      PerlIOBase(file)->flags |= PERLIO_F_ERROR;
      errno = ECONNRESET;
      return -1;
    }
    PERL_ASYNC_CHECK();
  }
}

PerlIOl* lowest(PerlIO* file) {
  PerlIOl* one = *file;
  while (one->next != nullptr) one = one->next;
  return one;
}

int copy_of(int descriptor) { return fcntl(descriptor, F_DUPFD_CLOEXEC, 10); }

}  // namespace

void standard_handles_in_child() { sinks = nullptr; }

void StandardHandles::attach(Handle& handle) {
  handle.top = *handle.file;
  lowest(handle.file)->tab = &layer;
}

void StandardHandles::start(Connect what, int output) {
  layer = PerlIO_unix;
  layer.Read = &read_lowest;
  layer.Write = &write_lowest;
  handles_.reserve(3);
  const auto add = [this](GV* gv, int descriptor, const char* mode) {
    GvMULTI_on(gv);
    Handle handle;
    handle.gv = gv;
    handle.descriptor = descriptor;
    handle.mode = mode;
    handle.copy = copy_of(descriptor);
    handle.file = IoIFP(GvIOn(gv));
    handle.flags = PerlIOBase(handle.file)->flags & PERLIO_F_UNBUF;
    attach(handle);
    handles_.push_back(handle);
    return &handles_.back();
  };
  add(PL_stderrgv, STDERR_FILENO, "w");
  if (what == Connect::errors_only) return;
  dup2(output, STDOUT_FILENO);
  if (const int null = open("/dev/null", O_RDONLY | O_CLOEXEC); null > 0) {
    dup2(null, STDIN_FILENO);
    close(null);
  }
  output_ = add(gv_fetchpvs("STDOUT", GV_ADD, SVt_PVIO), STDOUT_FILENO, "w");
  input_ = add(PL_stdingv, STDIN_FILENO, "r");
}

void StandardHandles::connect(Sinks& to) { sinks = &to; }
void StandardHandles::disconnect() { sinks = nullptr; }

void StandardHandles::flush() {
  IO* io = GvIO(output_->gv);
  if (io != nullptr && IoOFP(io) != nullptr) PerlIO_flush(IoOFP(io));
}

void StandardHandles::untie() {
  for (Handle& handle : handles_) {
    IO* io = GvIOn(handle.gv);
    if (SvMAGICAL(io)) sv_unmagic(reinterpret_cast<SV*>(io), PERL_MAGIC_tiedscalar);
  }
}

bool StandardHandles::flushes_always() const {
  IO* io = GvIO(output_->gv);
  return io != nullptr && (IoFLAGS(io) & IOf_FLUSH) != 0;
}

void StandardHandles::share_input(int file) {
  dup2(file, STDIN_FILENO);
  input_shared_ = read_descriptor = true;
}

void StandardHandles::replace_output(int output) {
  dup2(output, STDOUT_FILENO);
  dup3(output, output_->copy, O_CLOEXEC);
}

void StandardHandles::restore(Handle& handle) {
  IO* io = GvIOn(handle.gv);
  IoFLAGS(io) &= static_cast<U8>(~IOf_FLUSH);
  IoLINES(io) = IoLINES_LEFT(io) = IoPAGE(io) = 0;
  IoPAGE_LEN(io) = 60;
  if (IoFMT_NAME(io) != nullptr || IoTOP_NAME(io) != nullptr) {
    Safefree(IoFMT_NAME(io));
    Safefree(IoTOP_NAME(io));
    IoFMT_NAME(io) = IoTOP_NAME(io) = nullptr;
    IoFMT_GV(io) = IoTOP_GV(io) = nullptr;
  }
  bool ours = IoIFP(io) == handle.file && PerlIOValid(handle.file) && lowest(handle.file)->tab == &layer;
  if (ours && *handle.file != handle.top) {  // layers were pushed, or ours was popped
    PerlIOl* one = *handle.file;
    while (one != nullptr && one != handle.top) one = one->next;
    ours = one != nullptr;
    while (ours && *handle.file != handle.top) PerlIO_pop(aTHX_ handle.file);
  }
  if (!ours) {
    if (IoIFP(io) != nullptr) Perl_do_close(aTHX_ handle.gv, FALSE);
    dup2(handle.copy, handle.descriptor);
    handle.file = PerlIO_fdopen(handle.descriptor, handle.mode);
    IoIFP(io) = handle.file;
    IoOFP(io) = handle.mode[0] == 'w' ? handle.file : nullptr;
    IoTYPE(io) = handle.mode[0] == 'w' ? IoTYPE_WRONLY : IoTYPE_RDONLY;
    PerlIOBase(handle.file)->flags |= handle.flags;
    attach(handle);
    return;
  }
  PerlIOBase(handle.file)->flags &= ~static_cast<U32>(PERLIO_F_UTF8 | PERLIO_F_CRLF);
  PerlIO_clearerr(handle.file);
  if (PerlIOBase(handle.file)->tab == &PerlIO_perlio) PerlIOSelf(handle.file, PerlIOBuf)->posn = 0;  // tell()
  if (&handle == input_) {
    if (const SSize_t left = PerlIO_get_cnt(handle.file); left > 0)
      PerlIO_set_ptrcnt(handle.file, PerlIO_get_ptr(handle.file) + left, 0);
  }
}

// Perl's first three files are never closed by the end of a variable, as they are the standard ones; those that were
// opened after a script had closed a standard handle are none.
void StandardHandles::close_strays() {
  for (PerlIO* file : {PerlIO_stdin(), PerlIO_stdout(), PerlIO_stderr()}) {
    if (!PerlIOValid(file)) continue;
    const bool known = std::ranges::any_of(handles_, [file](const Handle& handle) {
      IO* io = GvIO(handle.gv);
      return io != nullptr && (IoIFP(io) == file || IoOFP(io) == file);
    });
    if (!known) PerlIO_close(file);
  }
}

void StandardHandles::restore() {
  if (output_ != nullptr) close_strays();
  for (Handle& handle : handles_) restore(handle);
  if (output_ != nullptr && PL_defoutgv != output_->gv) setdefout(output_->gv);
  if (input_shared_) {
    dup2(input_->copy, STDIN_FILENO);
    input_shared_ = read_descriptor = false;
  }
}

}  // namespace fivefold::perl
