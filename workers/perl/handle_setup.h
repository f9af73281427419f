#pragma once
// What the `use` lines and BEGIN blocks of a script have done to STDIN, STDOUT and STDERR: layers and `$|`. In a
// process of its own they run each time; here once, so it is done again for each request.
#include <array>
#include <string>

#include "perl_api.h"

namespace fivefold::perl {

class HandleSetup {
 public:
  // Before the script is compiled.
  void begin();
  // STDIN, STDOUT or STDERR gets a layer, as by binmode.
  static void add_layer(std::size_t number, const char* layer);
  // After it: what has been added since begin() is noted, and taken away.
  void end();
  // Before each run of the script; StandardHandles::restore() undoes it.
  void apply() const;

 private:
  struct One {
    PerlIOl* top = nullptr;  // the uppermost layer at begin()
    std::string layers;      // as binmode takes them
    bool flushes = false;    // $|
  };
  std::array<One, 3> handles_;
};

}  // namespace fivefold::perl
