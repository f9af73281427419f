#pragma once
// The zygote of a program at any time: started when its first worker is wanted, replaced when it has died or when the
// program is another one now.
#include <memory>
#include <string>
#include <vector>

#include "models/module/zygote.h"
#include "process/journey.h"

namespace fivefold::models::module {

// What a zygote is started from.
struct ZygotePlan {
  process::SpawnPlan spawn;
  std::string command_line;  // as it is shown
  std::string fingerprint;   // of everything that it is made of
  std::chrono::milliseconds start_timeout{60'000};
};

// On the home loop. Workers keep their zygote alive; this keeps the one that the next worker is forked from.
class Zygotes {
 public:
  Zygotes(net::Loop& home, LineFile& log, std::string program, std::function<void(std::string how)> died);
  ~Zygotes();

  // The zygote of `plan`, started if need be; several may wait for the same one. Its steps and its output go to the
  // journey of each.
  net::Task<Result<std::shared_ptr<Zygote>>> get(ZygotePlan plan, process::Spawner& spawner,
                                                 std::shared_ptr<process::Journey> journey);
  // The next worker is forked from a new one. Workers of the old one go on.
  void renew();

 private:
  struct Start;
  net::Task<void> run(std::shared_ptr<Start> start, ZygotePlan plan, process::Spawner& spawner);

  net::Loop& home_;
  LineFile& log_;
  std::string program_;
  std::function<void(std::string)> died_;
  std::string fingerprint_;  // of the current one, or of the one that is starting
  std::shared_ptr<Zygote> current_;
  std::shared_ptr<Start> starting_;
  net::TaskGroup tasks_;
};

}  // namespace fivefold::models::module
