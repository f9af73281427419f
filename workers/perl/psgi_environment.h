#pragma once
// The environment of a PSGI request (PSGI 1.1, "The Environment"), and its body as a handle.
#include "perl_api.h"

namespace fivefold::perl {

class PsgiEnvironment {
 public:
  // Once. `informational`: what psgix.informational is.
  void start(CV* informational);
  // A hash of the caller's. nullptr: the body will not become whole.
  HV* build(worker::Request& request);

  static constexpr std::size_t kBodyInMemory = 1024 * 1024;  // more is kept in a file

 private:
  struct Key {
    std::string name;
    SV* key = nullptr;
    U32 hash = 0;
  };
  void put(HV* env, Key& key, SV* value);
  Key& key_at(std::size_t place, std::string_view name);
  SV* input(worker::Request& request, std::uint64_t& length);
  SV* empty_input();

  std::vector<Key> keys_;   // of the request before: mostly they are the same, in the same order
  std::vector<Key> fixed_;  // psgi.*
  AV* version_ = nullptr;
  GV* errors_ = nullptr;
  GV* empty_ = nullptr;
  SV* nothing_ = nullptr;
  CV* informational_ = nullptr;
};

}  // namespace fivefold::perl
