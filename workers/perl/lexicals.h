#pragma once
// `my` variables of a script's file. The file is compiled once as a subroutine, and its named subroutines would keep
// the variables of the first request for ever ("will not stay shared"). Here they are given those of each request, so
// that a script that was written for a process of its own behaves as it does there.
#include "perl_api.h"

namespace fivefold::perl {

class Lexicals {
 public:
  ~Lexicals();
  // After the compilation of `top`, whose code is in the file `path`: finds what `top`'s named subroutines (and `more`:
  // BEGIN and END blocks) share with it, and what BEGIN blocks have set.
  void find(CV* top, std::string_view path, std::span<CV* const> more);
  // Before each run: shares anew, and sets what BEGIN blocks had set.
  void begin();
  // After it: what no one else holds is freed now.
  void end() { share(); }

 private:
  struct Shared {
    CV* inner;
    CV* outer;
    PADOFFSET inner_slot;
    PADOFFSET outer_slot;
  };
  struct Preset {
    PADOFFSET slot;
    SV* value;
  };
  void share();
  void find_shared(CV* inner, CV* outer);
  void find_presets();

  CV* top_ = nullptr;
  std::vector<Shared> shared_;
  std::vector<Preset> presets_;
};

}  // namespace fivefold::perl
