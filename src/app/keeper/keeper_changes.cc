// Commands and signals that change something: reload, restart, stop, logs opened again.
#include <signal.h>
#include <algorithm>

#include "app/keeper/keeper_state.h"

namespace fivefold::app {

using namespace std::chrono_literals;

namespace {

constexpr auto kReloadTime = 60s;               // for the server's answer to a reload
constexpr std::size_t kMostWantedChanges = 64;  // that wait for the one under way
constexpr auto kDrainMargin = 2s;               // past its drain deadline a server is killed after this long

}  // namespace

void Keeper::on_command(ServerProcess& server, const nlohmann::json& content) {
  const Asker asker{server.pid, content.value("id", std::uint64_t{0})};
  const auto command = content.value("command", "");
  if (command == "reload") {
    change(ChangeKind::reload, asker);
  } else if (command == "restart") {
    change(ChangeKind::restart, asker);
  } else if (command == "reopen") {
    reopen_logs(asker);
  } else if (command == "stop") {
    reply(asker, true,
          "Stopping: requests in flight have up to " +
              std::to_string(setup_->config.server.timeouts.drain.count() / 1000) + " s to end.");
    stop();
  } else {
    reply(asker, false, "The keeper does not know the command \"" + command + "\".");
  }
}

void Keeper::reply(const Asker& asker, bool ok, const std::string& text) {
  if (auto* server = find(asker.server))
    send(*server, {{"type", "reply"}, {"id", asker.id}, {"ok", ok}, {"text", text}});
}

void Keeper::change(ChangeKind kind, Asker asker) {
  if (stopping_) return reply(asker, false, "Fivefold is stopping.");
  if (change_ || !current()) {
    if (wanted_changes_.size() >= kMostWantedChanges)
      return reply(asker, false, "Too many changes are waiting already; ask again when they are done.");
    wanted_changes_.emplace_back(kind, asker);
    return;
  }
  begin(kind, {asker});
}

void Keeper::begin(ChangeKind kind, std::vector<Asker> askers) {
  options_.notifier.reloading();
  auto prepared = prepare_setup(options_.source.read(), setup_.get(), kind == ChangeKind::reload, activated_,
                                identities_, runtime_);
  if (!prepared.setup) {
    std::string text = "The configuration has faults; the one before it stays in force.";
    for (const auto& fault : prepared.faults) {
      log_.error(fault);
      text += "\n" + fault;
    }
    log_.error("The configuration is not taken over: " + std::to_string(prepared.faults.size()) +
               (prepared.faults.size() == 1 ? " fault" : " faults") + ". The one before it stays in force.");
    for (const auto& asker : askers) reply(asker, false, text);
    options_.notifier.ready(summary());
    next_change();
    return;
  }
  helpers_.tell_identities(identities_.identities());
  auto& server = *current();
  change_ = Change{kind, prepared.setup, std::move(askers), server.pid};
  if (kind == ChangeKind::reload) change_->due = Clock::now() + kReloadTime;
  if (kind == ChangeKind::restart) {
    if (!start_server(prepared.setup, &change_->server)) abandon("The new server process could not be started.");
    return;
  }
  const auto& setup = *prepared.setup;
  DescriptorList fds;
  const nlohmann::json content = {
      {"type", "reload"},
      {"text", setup.text},
      {"file", setup.file},
      {"directory", setup.directory},
      {"identities", setup.identities},
      {"runtime", setup.runtime},
      {"listeners", to_json(setup.listeners, fds, &setup.added)},
      {"logs", to_json(setup.logs, fds)},
  };
  send(server, content, fds.all());
}

void Keeper::commit() {
  auto done = std::move(*change_);
  change_.reset();
  auto old = std::move(setup_);
  setup_ = done.setup;
  apply_listener_settings(setup_->listeners);
  log_.use(setup_->logs.server.get());
  const bool restart = done.kind == ChangeKind::restart;
  std::string text = restart ? "Restarted: a new server process serves, the one before it finishes its requests."
                             : "The configuration was taken over.";
  log_.info(text + " " + summary() + ".");
  for (const auto& note : setup_->notes) {
    log_.warn(note);
    text += "\n" + note;
  }
  for (const auto& asker : done.askers) reply(asker, true, text);
  if (restart) {
    for (auto& server : servers_) {
      if (server->pid == done.server || server->state == ServerProcess::State::draining) continue;
      if (server->state == ServerProcess::State::ready) {
        drain(*server, true);
      } else {
        // Started after a crash while its successor was starting: it serves nobody yet.
        server->state = ServerProcess::State::draining;
        ::kill(server->pid, SIGKILL);
      }
    }
  } else if (auto* server = find(done.server)) {
    server->setup = setup_;
  }
  old.reset();  // closes the sockets of addresses that are no longer listened on
  options_.notifier.ready(summary());
  next_change();
}

// What was asked for while something else was under way, or while nothing served.
void Keeper::next_change() {
  if (change_ || stopping_ || wanted_changes_.empty() || !current()) return;
  const auto [kind, asker] = wanted_changes_.front();
  wanted_changes_.pop_front();
  begin(kind, {asker});
}

void Keeper::abandon(const std::string& why) {
  auto given_up = std::move(*change_);
  change_.reset();
  log_.error("The configuration is not taken over: " + why);
  for (const auto& asker : given_up.askers) reply(asker, false, "The configuration is not taken over: " + why);
  options_.notifier.ready(summary());
  next_change();
}

void Keeper::reopen_logs(Asker asker) {
  auto files = open_log_files(setup_->config);
  if (!files) {
    log_.error("The logs are not opened again: " + files.error().message);
    return reply(asker, false, files.error().message);
  }
  setup_->logs = std::move(*files);
  log_.use(setup_->logs.server.get());
  DescriptorList fds;
  const nlohmann::json content = {{"type", "reopen"}, {"logs", to_json(setup_->logs, fds)}};
  for (auto& server : servers_) send(*server, content, fds.all());
  reply(asker, true, "The logs were opened again.");
}

// Not while a change is under way: what it has opened already would be left with the renamed files.
void Keeper::rotate_logs(Clock::time_point now) {
  if (rotation_.look(setup_->config, setup_->logs, now, [this](const std::string& text) { log_.warn(text); }))
    reopen_logs({});
}

void Keeper::drain(ServerProcess& server, bool keep_idle) {
  const auto deadline = setup_->config.server.timeouts.drain;
  server.state = ServerProcess::State::draining;
  // Behind its requests it ends the applications, each in its own time.
  std::chrono::milliseconds grace{0};
  if (!keep_idle) {
    for (const auto& program : setup_->config.programs) {
      if (program.model == config::Model::app) grace = std::max(grace, program.app.stop_grace);
      if (program.model == config::Model::module) grace = std::max(grace, program.module.stop_grace);
    }
  }
  server.kill_at = Clock::now() + deadline + grace + kDrainMargin;
  send(server, {{"type", "drain"}, {"deadline_ms", deadline.count()}, {"keep_idle", keep_idle}});
}

void Keeper::stop() {
  stopping_ = true;
  restart_at_ = Clock::time_point::max();
  options_.notifier.stopping();
  log_.info("Stopping: requests in flight are finished first.");
  for (const auto& [kind, asker] : wanted_changes_) reply(asker, false, "Fivefold is stopping.");
  wanted_changes_.clear();
  for (auto& server : servers_) {
    if (server->state != ServerProcess::State::starting) drain(*server, false);
    // One that is starting is told when it says that it is ready.
  }
  // Ours too: a client that comes now is refused at once instead of waiting in the queue of a socket that nobody
  // accepts from.
  for (auto& server : servers_) server->setup->listeners.clear();
  setup_->listeners.clear();
  if (servers_.empty()) finished_ = true;
}

void Keeper::stop_at_once() {
  stopping_ = true;
  log_.warn("Stopping at once.");
  for (auto& server : servers_) ::kill(server->pid, SIGKILL);
  if (servers_.empty()) finished_ = true;
}

}  // namespace fivefold::app
