#include "app/keeper/setup.h"

#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <thread>

namespace fivefold::app {

unsigned loop_count(std::uint32_t configured) {
  if (configured) return configured;
  cpu_set_t cores;
  if (::sched_getaffinity(0, sizeof cores, &cores) == 0) return std::max(1, CPU_COUNT(&cores));
  return std::max(1u, std::thread::hardware_concurrency());
}

std::vector<std::string> not_applied(const config::Server& before, const config::Server& after, bool same_process) {
  std::vector<std::string> notes;
  if (same_process) {
    if (before.threads != after.threads) notes.push_back("[server] threads is applied by `fivefold restart`.");
    if (before.user != after.user || before.group != after.group)
      notes.push_back("[server] user and group are applied by `fivefold restart`.");
    if ((before.access_log == "off") != (after.access_log == "off"))
      notes.push_back("Turning the access log on or off is applied by `fivefold restart`.");
  }
  if (before.spawners != after.spawners)
    notes.push_back("[server] spawners is applied when Fivefold is stopped and started.");
  if (before.control != after.control)
    notes.push_back("[server] control is applied when Fivefold is stopped and started.");
  return notes;
}

PreparedSetup prepare_setup(ReadConfig read, const Setup* current, bool same_process, const ActivatedSockets& activated,
                            IdentityTable& identities, RuntimeFolder& runtime) {
  PreparedSetup result;
  for (const auto& fault : read.loaded.faults)
    if (fault.severity == config::Fault::Severity::error) result.faults.push_back(config::to_string(fault));
  if (!read.loaded.config) {
    if (result.faults.empty()) result.faults.push_back(read.file + ": the configuration cannot be used");
    return result;
  }
  auto setup = std::make_shared<Setup>();
  for (const auto& fault : read.loaded.faults)
    if (fault.severity != config::Fault::Severity::error) setup->notes.push_back(config::to_string(fault));
  setup->text = std::move(read.text);
  setup->file = std::move(read.file);
  setup->directory = std::move(read.directory);
  setup->config = std::move(*read.loaded.config);
  const auto& server = setup->config.server;
  setup->loops = current && same_process ? current->loops : loop_count(server.threads);

  if (current && same_process) {
    setup->account = current->account;
  } else if (auto account = server_account(server)) {
    setup->account = std::move(*account);
  } else {
    result.faults.push_back(account.error().message);
  }
  auto opened = open_listeners(server.listen, current ? current->listeners : ListenerSet{}, activated, setup->loops);
  for (auto& fault : opened.faults) result.faults.push_back(std::move(fault));
  for (auto& note : opened.notes) setup->notes.push_back(std::move(note));
  setup->listeners = std::move(opened.listeners);
  setup->added = std::move(opened.added);
  if (auto logs = open_log_files(setup->config))
    setup->logs = std::move(*logs);
  else
    result.faults.push_back(logs.error().message);
  if (!result.faults.empty()) return result;
  auto indices = identities.add(setup->config, setup->account);
  if (!indices) {
    result.faults.push_back(indices.error().message);
    return result;
  }
  setup->identities = std::move(*indices);
  auto folders = runtime.prepare(setup->config, identities.identities(), setup->identities, setup->account);
  if (!folders) {
    result.faults.push_back(folders.error().message);
    return result;
  }
  setup->runtime = std::move(*folders);
  if (current)
    for (auto& note : not_applied(current->config.server, server, same_process))
      setup->notes.push_back(std::move(note));
  result.setup = std::move(setup);
  return result;
}

void apply_listener_settings(const ListenerSet& listeners) {
  for (const auto& [listen, socket] : listeners) {
    for (const auto& fd : socket->fds) ::listen(fd.get(), static_cast<int>(listen.backlog));
    if (!socket->unix_path.empty()) ::chmod(socket->unix_path.c_str(), listen.unix_mode);
  }
}

}  // namespace fivefold::app
