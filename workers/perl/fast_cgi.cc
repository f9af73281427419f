#include "fast_cgi.h"

#include "perl_api.h"

namespace fivefold::perl {

namespace {

bool accepted = false;

// Returns a status: 0, or -1 at the end.
XS(accept_once) {
  dXSARGS;
  PERL_UNUSED_VAR(cv);
  PERL_UNUSED_VAR(items);
  const IV status = accepted ? -1 : 0;
  accepted = true;
  XSRETURN_IV(status);
}

}  // namespace

void watch_accept() {
  CV* accept = get_cv("FCGI::Accept", 0);
  if (accept != nullptr && CvISXSUB(accept)) CvXSUB(accept) = accept_once;
}

void renew_accept() { accepted = false; }

}  // namespace fivefold::perl
