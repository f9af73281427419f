// fivefold: the command of the user, or, with an internal word, one of the processes its keeper starts.
#include <unistd.h>

#include <cstring>

#include "app/command_line.h"
#include "app/keeper/self_exec.h"
#include "app/server_process.h"
#include "process/spawner_process.h"

int main(int argc, char** argv) {
  using namespace fivefold;
  if (argc == 2 && std::strcmp(argv[1], app::kSpawnerWord) == 0)
    ::_exit(process::run_spawner(UniqueFd(app::kKeeperSocket)));
  if (argc == 2 && std::strcmp(argv[1], app::kServerWord) == 0) return app::run_server_process();
  return app::run_command_line(argc, argv);
}
