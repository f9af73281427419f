#pragma once
// Calls into Perl that come back, whatever the code does.
#include "perl_api.h"

namespace fivefold::perl {

enum class Ended : std::uint8_t {
  returned,
  exited,  // by exit(), or by a die that nothing has caught: its message is on STDERR then, as perl itself prints it
};

// Runs `body`, which calls Perl; exit() ends it, also from within eval {}. What Perl's stacks held before they hold
// afterwards. `body` is left by longjmp: nothing in it may need a destructor while Perl runs. `status`: of exit().
Ended guarded(void (*body)(void*), void* data, int* status = nullptr);

template <typename Body>
Ended guarded(Body& body, int* status = nullptr) {
  return guarded([](void* data) { (*static_cast<Body*>(data))(); }, &body, status);
}

// $@ as text, without a newline at its end.
std::string error_text();
// The bytes of a value; a string of characters above 255 comes as UTF-8.
std::string_view bytes_of(SV* value);

}  // namespace fivefold::perl
