// The server processes: started, told what to serve, listened to, replaced when they die.
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iostream>

#include "app/keeper/keeper_state.h"
#include "app/keeper/self_exec.h"
#include "control/paths.h"
#include "net/channel.h"

namespace fivefold::app {

using namespace std::chrono_literals;

namespace {

constexpr auto kYoung = 10s;        // a server that dies before this age has died young
constexpr auto kLongestDelay = 5s;  // between two tries to start it
constexpr auto kStartTime = 60s;    // a server that is not ready after this long is killed
constexpr timeval kSendTime{5, 0};  // a server that does not take a message for this long has hung

void say(const std::string& line) { std::cout << line << '\n' << std::flush; }

}  // namespace

std::chrono::milliseconds restart_delay(unsigned times) {
  if (times <= 1) return 0ms;
  return std::min<std::chrono::milliseconds>(100ms * (1u << std::min(times - 2, 16u)), kLongestDelay);
}

std::string how_it_ended(int wait_status) {
  if (WIFEXITED(wait_status)) return "exited with status " + std::to_string(WEXITSTATUS(wait_status));
  if (WIFSIGNALED(wait_status)) {
    const int number = WTERMSIG(wait_status);
    const char* name = ::strsignal(number);
    return "was ended by signal " + std::to_string(number) + (name ? " (" + std::string(name) + ")" : "") +
           (WCOREDUMP(wait_status) ? " and left a core" : "");
  }
  return "ended";
}

void Keeper::on_helper_exit(pid_t pid, int status) {
  if (stopping_ && servers_.empty()) {
    helpers_.forget(pid);
    return;
  }
  const auto index = helpers_.index_of(pid);
  helpers_.restart(pid, how_it_ended(status));
  for (const auto& server : servers_) {
    // One for its main loop, then one for each of its loops that this helper serves.
    if (auto socket = helpers_.connect(index)) {
      const int fd = socket->get();
      send(*server, {{"type", "spawner"}, {"supervisor", true}, {"index", index}, {"fd", 0}}, {&fd, 1});
    } else {
      log_.error(socket.error().message);
    }
    for (unsigned loop = 0; loop < server->setup->loops; ++loop) {
      if (helpers_.helper_of(loop) != index) continue;
      auto socket = helpers_.connect(index);
      if (!socket) {
        log_.error(socket.error().message);
        continue;
      }
      const int fd = socket->get();
      send(*server, {{"type", "spawner"}, {"loop", loop}, {"fd", 0}}, {&fd, 1});
    }
  }
}

void Keeper::on_server_exit(pid_t pid, int status) {
  const auto place =
      std::find_if(servers_.begin(), servers_.end(), [&](const auto& server) { return server->pid == pid; });
  const auto server = std::move(*place);
  servers_.erase(place);
  const auto age = Clock::now() - server->started;
  const auto words = "The server process (pid " + std::to_string(pid) + ") " + how_it_ended(status);

  if (server->state == ServerProcess::State::draining) {
    if (stopping_ && servers_.empty()) finished_ = true;
    return;
  }
  if (stopping_) {
    if (servers_.empty()) finished_ = true;
    return;
  }
  if (change_ && change_->server == pid) {
    const bool new_server = change_->kind == ChangeKind::restart;
    abandon(words + (new_server ? " before it was ready; the one before it goes on."
                                : " while it took the configuration over."));
    if (new_server) return;
  }
  if (!announced_) {
    log_.error(words + " before it was ready; nothing is served.");
    exit_status_ = 1;
    finished_ = true;
    return;
  }
  ++crashes_;
  last_crash_ = log_time() + " " + how_it_ended(status);
  died_young_ = age < kYoung ? died_young_ + 1 : 1;
  log_.error(
      words + " unexpectedly, " + std::to_string(std::chrono::duration_cast<std::chrono::seconds>(age).count()) +
      " s after its start; it is started again" +
      (restart_delay(died_young_) > 0ms ? " after " + std::to_string(restart_delay(died_young_).count()) + " ms" : "") +
      ". Connections that wait to be accepted are kept.");
  if (!current()) start_after_delay();
}

void Keeper::start_after_delay() {
  const auto delay = restart_delay(died_young_);
  if (delay == 0ms && start_server(setup_)) return;
  restart_at_ = Clock::now() + std::max<Clock::duration>(delay, 100ms);
}

bool Keeper::start_server(const std::shared_ptr<Setup>& setup, pid_t* pid) {
  auto child = start_self(kServerWord);
  if (!child) {
    log_.error("The server process could not be started: " + child.error().message);
    return false;
  }
  ::setsockopt(child->socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kSendTime, sizeof kSendTime);
  auto server = std::make_unique<ServerProcess>();
  server->pid = child->pid;
  server->socket = std::move(child->socket);
  server->setup = setup;
  server->kill_at = Clock::now() + kStartTime;
  if (pid) *pid = server->pid;
  ++generation_;
  if (auto sent = send_hello(*server); !sent) {
    log_.error("The server process could not be told what to serve: " + sent.error().message);
    ::kill(server->pid, SIGKILL);
  }
  servers_.push_back(std::move(server));
  return true;
}

Result<void> Keeper::send_hello(ServerProcess& server) {
  const auto& setup = *server.setup;
  DescriptorList fds;
  auto spawners = nlohmann::json::array();
  auto supervisor_spawners = nlohmann::json::array();
  std::vector<UniqueFd> sockets;
  const auto connect = [&](std::size_t helper, nlohmann::json& into) -> Result<void> {
    auto socket = helpers_.connect(helper);
    if (!socket) return std::unexpected(socket.error());
    into.push_back(fds.add(socket->get()));
    sockets.push_back(std::move(*socket));
    return {};
  };
  for (unsigned loop = 0; loop < setup.loops; ++loop)
    if (auto connected = connect(helpers_.helper_of(loop), spawners); !connected) return connected;
  for (std::size_t helper = 0; helper < helpers_.count(); ++helper)
    if (auto connected = connect(helper, supervisor_spawners); !connected) return connected;
  const nlohmann::json hello = {
      {"type", "hello"},
      {"text", setup.text},
      {"file", setup.file},
      {"directory", setup.directory},
      {"account", to_json(setup.account)},
      {"identities", setup.identities},
      {"runtime", setup.runtime},
      {"listeners", to_json(setup.listeners, fds, nullptr)},
      {"logs", to_json(setup.logs, fds)},
      {"control", fds.add(control_->fds.front().get())},
      {"control_path", control_path_},
      {"spawners", std::move(spawners)},
      {"supervisor_spawners", std::move(supervisor_spawners)},
      {"predecessor", announced_},
      {"loops", setup.loops},
      {"keeper_pid", ::getpid()},
      {"keeper_uid", ::geteuid()},
      {"started", started_},
      {"generation", generation_},
      {"crashes", crashes_},
      {"last_crash", last_crash_},
  };
  return send_parcel(server.socket.get(), hello, fds.all());
}

void Keeper::send(ServerProcess& server, const nlohmann::json& content, std::span<const int> fds) {
  if (!server.socket) return;
  auto sent = send_parcel(server.socket.get(), content, fds);
  if (sent || sent.error().code == Code::closed) return;
  log_.error("The server process (pid " + std::to_string(server.pid) + ") takes no messages (" + sent.error().message +
             "); it is killed and started again.");
  ::kill(server.pid, SIGKILL);
}

// One message, so that a server that sends half a parcel cannot hold the keeper up. What it says is checked: it may
// have been broken into.
void Keeper::hear(ServerProcess& server) {
  auto message = net::receive_message(server.socket.get());
  if (!message) {
    server.socket.reset();  // its exit is told by SIGCHLD
    if (server.state != ServerProcess::State::draining)
      ::kill(server.pid, SIGKILL);  // it cannot be told anything any more
    return;
  }
  auto parcel = server.reader.feed(message->bytes, {});
  if (!parcel)
    return log_.error("The server process (pid " + std::to_string(server.pid) + "): " + parcel.error().message);
  if (!*parcel) return;
  try {
    on_message(server, (*parcel)->content);
  } catch (const nlohmann::json::exception& error) {
    log_.error("The server process (pid " + std::to_string(server.pid) +
               ") sent a message that is not understood: " + error.what());
  }
}

void Keeper::on_message(ServerProcess& server, const nlohmann::json& content) {
  const auto type = content.value("type", "");
  if (type == "ready") {
    on_ready(server);
  } else if (type == "failed") {
    const auto text = content.value("text", "");
    log_.error("The server process could not start: " + text);
  } else if (type == "command") {
    on_command(server, content);
  } else if (type == "reloaded" && change_ && change_->server == server.pid && change_->kind == ChangeKind::reload) {
    if (content.value("ok", false))
      commit();
    else
      abandon(content.value("text", ""));
  }
}

void Keeper::on_ready(ServerProcess& server) {
  if (server.state != ServerProcess::State::starting) return;  // said twice, or told to end meanwhile
  restart_at_ = Clock::time_point::max();
  server.state = ServerProcess::State::ready;
  server.kill_at = Clock::time_point::max();
  if (stopping_) {
    drain(server, false);
    return;
  }
  if (change_ && change_->kind == ChangeKind::restart && change_->server == server.pid) {
    commit();
    return;
  }
  if (!announced_) {
    announced_ = true;
    for (const auto& listener : setup_->listeners) say("listening on " + listener.socket->bound);
    if (options_.development && setup_->config.server.control.empty() && control_path_ != control::default_path())
      say("control socket " + control_path_ + " (fivefold status --control " + control_path_ + ")");
    log_.info("Fivefold " FIVEFOLD_VERSION " is ready: " + summary());
  } else {
    log_.info("The server process is back (pid " + std::to_string(server.pid) + ").");
  }
  options_.notifier.ready(summary());
  next_change();
}

std::string Keeper::summary() const {
  std::string text = "Serving ";
  const auto routes = setup_->config.routes.size(), programs = setup_->config.programs.size();
  text += std::to_string(routes) + (routes == 1 ? " route, " : " routes, ") + std::to_string(programs) +
          (programs == 1 ? " program" : " programs");
  for (std::size_t i = 0; i < setup_->listeners.size(); ++i)
    text += (i == 0 ? " on " : ", ") + setup_->listeners[i].socket->bound;
  return text;
}

ServerProcess* Keeper::find(pid_t pid) {
  for (auto& server : servers_)
    if (server->pid == pid) return server.get();
  return nullptr;
}

ServerProcess* Keeper::current() {
  for (auto server = servers_.rbegin(); server != servers_.rend(); ++server)
    if ((*server)->state == ServerProcess::State::ready) return server->get();
  return nullptr;
}

}  // namespace fivefold::app
