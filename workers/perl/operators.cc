#include <sys/wait.h>
#include <unistd.h>

#include "operators.h"

namespace fivefold::perl {

namespace {

Watcher* watcher = nullptr;
Perl_ppaddr_t original[MAXO];

OP* wait_later(PerlInterpreter* my_perl) {
  if (watcher != nullptr) watcher->before_waiting();
  return original[PL_op->op_type](aTHX);
}

OP* change_folder(PerlInterpreter* my_perl) {
  if (watcher != nullptr) watcher->folder_changed = true;
  return original[PL_op->op_type](aTHX);
}

OP* change_umask(PerlInterpreter* my_perl) {
  if (watcher != nullptr) watcher->umask_changed = true;
  return original[PL_op->op_type](aTHX);
}

OP* open_other(PerlInterpreter* my_perl) {
  if (watcher != nullptr) watcher->file_opened = true;
  return original[PL_op->op_type](aTHX);
}

OP* set_alarm(PerlInterpreter* my_perl) {
  if (watcher != nullptr) watcher->alarm_set = true;
  return original[PL_op->op_type](aTHX);
}

// The first argument, when it is a handle whose lowest layer is none of Perl's own: such a handle is a request's.
PerlIO* connected(SV* argument) {
  if (argument == nullptr || !isGV_with_GP(argument)) return nullptr;
  IO* io = GvIO(reinterpret_cast<GV*>(argument));
  if (io == nullptr || SvMAGICAL(io)) return nullptr;
  PerlIO* file = IoIFP(io);
  if (!PerlIOValid(file)) return nullptr;
  while (PerlIONext(file) != nullptr && *PerlIONext(file) != nullptr) file = PerlIONext(file);
  return PerlIOBase(file)->tab->Write == PerlIO_unix.Write ? nullptr : file;
}

// open(COPY, ">&STDOUT"), open(COPY, ">&", 1): a copy of descriptor 1 writes into the pipe. open(STDERR, ">&STDOUT"),
// like any open of a standard handle, keeps the handle and changes its descriptor: it is an ordinary file from then on.
OP* open_file(PerlInterpreter* my_perl) {
  if (watcher == nullptr) return original[OP_OPEN](aTHX);
  watcher->before_waiting();
  watcher->file_opened = true;
  SV** arguments = PL_stack_base + *PL_markstack_ptr + 1;
  for (SV** value = arguments; value <= PL_stack_sp; ++value) {
    if (*value == nullptr || !SvPOK(*value)) continue;
    if (memchr(SvPVX(*value), '&', SvCUR(*value)) == nullptr) continue;
    if (memchr(SvPVX(*value), '<', SvCUR(*value)) != nullptr) watcher->shares_input();
    watcher->shares_output();
  }
  SV* handle = *arguments;
  const bool standard = connected(handle) != nullptr;
  if (standard) SvREFCNT_inc_simple_void_NN(handle);
  OP* next = original[OP_OPEN](aTHX);
  if (!standard) return next;
  if (PerlIO* file = connected(handle)) PerlIOBase(file)->tab = const_cast<PerlIO_funcs*>(&PerlIO_unix);
  SvREFCNT_dec(handle);
  return next;
}

// syswrite and sysread pass the buffers by, and their descriptor is no request's: they speak with the lowest layer.
OP* write_unbuffered(PerlInterpreter* my_perl) {
  dSP;
  SV** arguments = PL_stack_base + *PL_markstack_ptr + 1;
  PerlIO* file = watcher != nullptr && SP - arguments >= 1 ? connected(arguments[0]) : nullptr;
  if (file == nullptr) return original[OP_SYSWRITE](aTHX);
  SV* value = arguments[1];
  STRLEN size = 0;
  const char* bytes = SvPV_const(value, size);
  if (SvUTF8(value)) {
    SV* copy = sv_mortalcopy(value);
    if (!sv_utf8_downgrade(copy, TRUE)) Perl_croak(aTHX_ "Wide character in syswrite");
    bytes = SvPV_const(copy, size);
  }
  IV offset = SP - arguments >= 3 ? SvIV(arguments[3]) : 0;
  if (offset < 0) offset += static_cast<IV>(size);
  if (offset < 0 || offset > static_cast<IV>(size)) Perl_croak(aTHX_ "Offset outside string");
  STRLEN count = size - static_cast<STRLEN>(offset);
  if (SP - arguments >= 2 && SvOK(arguments[2])) {
    const IV wanted = SvIV(arguments[2]);
    if (wanted < 0) Perl_croak(aTHX_ "Negative length");
    if (static_cast<STRLEN>(wanted) < count) count = static_cast<STRLEN>(wanted);
  }
  const SSize_t written = PerlIOBase(file)->tab->Write(aTHX_ file, bytes + offset, count);
  watcher->before_waiting();
  SP = arguments - 1;
  (void)POPMARK;
  PUSHs(written < 0 ? &PL_sv_undef : sv_2mortal(newSViv(written)));
  PUTBACK;
  return PL_op->op_next;
}

OP* read_unbuffered(PerlInterpreter* my_perl) {
  if (watcher != nullptr) watcher->before_waiting();
  SV* handle = PL_stack_base[*PL_markstack_ptr + 1];
  if (watcher == nullptr || connected(handle) == nullptr) return original[OP_SYSREAD](aTHX);
  LISTOP buffered = *reinterpret_cast<LISTOP*>(PL_op);
  buffered.op_type = OP_READ;
  PL_op = reinterpret_cast<OP*>(&buffered);
  return original[OP_READ](aTHX);
}

// exec would take the worker away. The program gets a process of its own, and the script ends with it.
OP* replace_process(PerlInterpreter* my_perl) {
  if (watcher == nullptr) return original[OP_EXEC](aTHX);
  watcher->before_waiting();
  if (watcher->top() != nullptr) {
    PERL_FLUSHALL_FOR_CHILD;
    const pid_t pid = fork();
    if (pid > 0) {
      int status = 0;
      while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        PERL_ASYNC_CHECK();
      }
      my_exit(WIFEXITED(status) ? static_cast<U32>(WEXITSTATUS(status)) : 255);
    }
  }
  watcher->before_exec();
  return original[OP_EXEC](aTHX);
}

// The script's file is the bottom of its own world: `main() unless caller`.
OP* show_caller(PerlInterpreter* my_perl) {
  CV* top = watcher != nullptr ? watcher->top() : nullptr;
  if (top == nullptr) return original[OP_CALLER](aTHX);
  const bool has_level = (PL_op->op_private & 15) != 0;
  dSP;
  IV level = has_level && TOPs != nullptr ? SvIV(TOPs) : 0;
  level += (PL_op->op_private & OPpOFFBYONE) != 0 ? 1 : 0;
  const PERL_CONTEXT* frame = level >= 0 ? caller_cx(static_cast<I32>(level), nullptr) : nullptr;
  if (frame == nullptr || CxTYPE(frame) != CXt_SUB || frame->blk_sub.cv != top) return original[OP_CALLER](aTHX);
  if (has_level) (void)POPs;
  if (GIMME_V == G_SCALAR) PUSHs(&PL_sv_undef);
  PUTBACK;
  return PL_op->op_next;
}

// Functions of modules that do what operators do.
struct Function {
  const char* name;
  bool Watcher::* flag;
  XSUBADDR_t original;
};
Function functions[] = {{"POSIX::setlocale", &Watcher::locale_changed, nullptr},
                        {"Time::HiRes::alarm", &Watcher::alarm_set, nullptr},
                        {"Time::HiRes::ualarm", &Watcher::alarm_set, nullptr},
                        {"Time::HiRes::setitimer", &Watcher::alarm_set, nullptr}};

template <std::size_t number>
void watched_function(PerlInterpreter* my_perl, CV* cv) {
  if (watcher != nullptr) watcher->*functions[number].flag = true;
  functions[number].original(aTHX_ cv);
}
constexpr XSUBADDR_t kWatched[] = {&watched_function<0>, &watched_function<1>, &watched_function<2>,
                                   &watched_function<3>};
static_assert(std::size(kWatched) == std::size(functions));

void wrap(Optype type, Perl_ppaddr_t function) {
  original[type] = PL_ppaddr[type];
  PL_ppaddr[type] = function;
}

}  // namespace

void wrap_operators() {
  original[OP_READ] = PL_ppaddr[OP_READ];
  for (Optype type : {OP_READLINE, OP_READ, OP_SLEEP, OP_SSELECT, OP_SYSTEM, OP_BACKTICK, OP_WAIT, OP_WAITPID,
                      OP_ACCEPT, OP_CONNECT, OP_RECV, OP_FLOCK})
    wrap(type, &wait_later);
  wrap(OP_CHDIR, &change_folder);
  wrap(OP_UMASK, &change_umask);
  wrap(OP_ALARM, &set_alarm);
  for (Optype type : {OP_SYSOPEN, OP_OPEN_DIR, OP_PIPE_OP, OP_SOCKET}) wrap(type, &open_other);
  wrap(OP_OPEN, &open_file);
  wrap(OP_SYSWRITE, &write_unbuffered);
  wrap(OP_SYSREAD, &read_unbuffered);
  wrap(OP_EXEC, &replace_process);
  wrap(OP_CALLER, &show_caller);
}

void watch_functions() {
  for (std::size_t i = 0; i < std::size(functions); ++i) {
    CV* cv = get_cv(functions[i].name, 0);
    if (cv == nullptr || !CvISXSUB(cv) || CvXSUB(cv) == kWatched[i]) continue;
    functions[i].original = CvXSUB(cv);
    CvXSUB(cv) = kWatched[i];
  }
}

void watch_operators(Watcher* one) { watcher = one; }

}  // namespace fivefold::perl
