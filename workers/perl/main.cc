// fivefold-perl: the zygote and the workers of Perl's CGI scripts and PSGI applications.
#include "interpreter.h"
//
#include "channel/zygote.h"

int main(int argc, char** argv) {
  fivefold::perl::Perl perl(argc, argv);
  return fivefold::worker::run_zygote(perl, argc, argv);
}
