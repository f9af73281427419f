#pragma once
// The end of a script that takes too long, or that nobody waits for any more. Perl notices it between two operators.
#include "perl_api.h"

namespace fivefold::perl {

class TimeLimit {
 public:
  // In a worker, once.
  static void start();
  // For the request that begins; 0 is none.
  static void set(std::uint32_t limit_ms);
  static void clear();
  // Whether it has come since set().
  static bool passed();
  // The script ends at its next operator, as by exit().
  static void stop();
  // Forgets a stop() that has found no script.
  static void forget();

  // What a script may still do after the die() that tells it of the limit, before it is ended for good.
  static constexpr std::uint32_t kPatienceMs = 1000;
};

}  // namespace fivefold::perl
