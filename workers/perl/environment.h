#pragma once
// %ENV of a request, and the environment of the programs that a script starts.
#include "perl_api.h"

namespace fivefold::perl {

class Environment {
 public:
  // In a worker, once: what %ENV holds now is what every request begins with.
  void start();
  // %ENV holds the variables of `request` besides. The process's own environment stays as it is: setting it anew for
  // each request would cost more than the request.
  void fill(const worker::Request& request);
  // What a script has put into the process's environment is taken out again.
  void restore();
  // In a child that the script has forked: its environment becomes what %ENV holds.
  static void become_real();

 private:
  struct Variable {
    std::string name;
    std::string value;
  };
  // A variable of base_ or of the request before, and its value in %ENV, of which one reference is held here.
  struct Slot {
    std::string name;
    SV* value;
  };
  bool refill(HV* env, const worker::Request& request);

  std::vector<Variable> base_;
  std::vector<Slot> slots_;
  char** original_ = nullptr;        // `environ` as it is without a script
  std::vector<char*> original_all_;  // and what it points to
};

}  // namespace fivefold::perl
