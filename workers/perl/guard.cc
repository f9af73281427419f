#include "guard.h"

namespace fivefold::perl {

Ended guarded(void (*body)(void*), void* data, int* status) {
  const I32 scope = PL_scopestack_ix;
  const auto mark = PL_markstack_ptr - PL_markstack;
  const auto stack = PL_stack_sp - PL_stack_base;
  OP* const op = PL_op;
  volatile Ended ended = Ended::returned;
  int jump = 0;
  dJMPENV;
  JMPENV_PUSH(jump);
  if (jump == 0) {
    body(data);
  } else {
    ended = Ended::exited;
    while (PL_scopestack_ix > scope) LEAVE;
    FREETMPS;
    if (PL_curstash != PL_defstash) {
      SvREFCNT_dec(PL_curstash);
      PL_curstash = reinterpret_cast<HV*>(SvREFCNT_inc(PL_defstash));
    }
    PL_curcop = &PL_compiling;
    PL_markstack_ptr = PL_markstack + mark;
    PL_stack_sp = PL_stack_base + stack;
    PL_op = op;
    if (status != nullptr) *status = STATUS_EXIT;
    STATUS_ALL_SUCCESS;
  }
  JMPENV_POP;
  return ended;
}

std::string error_text() {
  std::string text(bytes_of(ERRSV));
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

std::string_view bytes_of(SV* value) {
  STRLEN size = 0;
  const char* bytes = SvPV_const(value, size);
  return {bytes, size};
}

}  // namespace fivefold::perl
