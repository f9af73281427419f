#pragma once
// Everything one configuration needs from the keeper: sockets, logs, accounts. Made whole or not at all.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "app/keeper/accounts.h"
#include "app/keeper/listeners.h"
#include "app/keeper/log_files.h"
#include "app/keeper/runtime_folder.h"
#include "app/source.h"

namespace fivefold::app {

struct Setup {
  std::string text, file, directory;
  config::Config config;
  unsigned loops = 1;
  Account account;
  ListenerSet listeners;
  std::vector<std::string> added;  // addresses that were not open before
  LogFiles logs;
  std::map<std::string, std::uint32_t> identities;
  std::map<std::string, std::string> runtime;  // programs' folders for their instances' sockets
  std::vector<std::string> notes;              // warnings, and settings that this change does not apply
};

struct PreparedSetup {
  std::shared_ptr<Setup> setup;     // null when there are faults
  std::vector<std::string> faults;  // a line each
};

// `current` is null at the start. `same_process`: the running server is to take it over, so what only a new process can
// apply stays as it is.
PreparedSetup prepare_setup(ReadConfig read, const Setup* current, bool same_process, const ActivatedSockets& activated,
                            IdentityTable& identities, RuntimeFolder& runtime);

// Settings in which two configurations differ and that a reload (or, of those, a restart) does not apply; sentences.
std::vector<std::string> not_applied(const config::Server& before, const config::Server& after, bool same_process);

// [server] threads, or the cores this process may use.
unsigned loop_count(std::uint32_t configured);

// What `listeners` of a kept address may change without being opened anew: backlog and a unix socket's mode.
void apply_listener_settings(const ListenerSet& listeners);

}  // namespace fivefold::app
