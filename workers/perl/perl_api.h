#pragma once
// Perl's headers. What else a file includes comes before them: their macros take the names of ordinary functions.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "channel/interpreter.h"

#define PERL_NO_GET_CONTEXT
#include <EXTERN.h>
#include <perl.h>
#include <perliol.h>
//
#include <XSUB.h>
#undef do_open
#undef do_close
#undef ref
#undef seed

// The one interpreter of the process, under the name that Perl's macros expect.
extern PerlInterpreter* my_perl;
