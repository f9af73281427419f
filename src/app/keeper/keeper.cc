#include "app/keeper/keeper.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <deque>
#include <fstream>
#include <iostream>

#include "app/keeper/helpers.h"
#include "app/keeper/self_exec.h"
#include "app/keeper/setup.h"
#include "app/parcel.h"
#include "control/paths.h"
#include "net/channel.h"

namespace fivefold::app {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kYoung = 10s;        // a server that dies before this age has died young
constexpr auto kLongestDelay = 5s;  // between two tries to start it
constexpr auto kDrainMargin = 2s;   // past its drain deadline a server is killed after this long
constexpr auto kHelperEnd = 5s;     // the helpers' time to end their processes when everything stops
constexpr auto kStartTime = 60s;    // a server that is not ready after this long is killed
constexpr timeval kSendTime{5, 0};  // a server that does not take a message for this long has hung

constexpr std::size_t kAnswerLimit = 64 * 1024;  // what the server may send in one parcel

// Who asked for something: a control connection of a server, or nobody (a signal).
struct Asker {
  pid_t server = -1;
  std::uint64_t id = 0;
};

struct ServerProcess {
  enum class State { starting, ready, draining } state = State::starting;
  pid_t pid = -1;
  UniqueFd socket;
  ParcelReader reader{kAnswerLimit};
  std::shared_ptr<Setup> setup;
  Clock::time_point started = Clock::now();
  Clock::time_point kill_at = Clock::time_point::max();
};

enum class ChangeKind { reload, restart };

// A change of configuration under way: the server that is to answer for it has not done so yet.
struct Change {
  ChangeKind kind;
  std::shared_ptr<Setup> setup;
  std::vector<Asker> askers;
  pid_t server;  // reload: the one told; restart: the new one
};

class Keeper {
 public:
  explicit Keeper(KeeperOptions options) : options_(std::move(options)), helpers_(log_) {}
  int run();

 private:
  bool set_up();
  bool open_control();
  void turn();
  int timeout() const;

  void on_signal(int number);
  void reap();
  void on_server_exit(pid_t pid, int status);
  void on_helper_exit(pid_t pid, int status);

  bool start_server(const std::shared_ptr<Setup>& setup, pid_t* pid = nullptr);
  Result<void> send_hello(ServerProcess& server);
  void start_after_delay();
  void hear(ServerProcess& server);
  void on_message(ServerProcess& server, const nlohmann::json& content);
  void on_ready(ServerProcess& server);
  void on_command(ServerProcess& server, const nlohmann::json& content);
  void send(ServerProcess& server, const nlohmann::json& content, std::span<const int> fds = {});
  void drain(ServerProcess& server);

  void change(ChangeKind kind, Asker asker);
  void begin(ChangeKind kind, std::vector<Asker> askers);
  void commit();
  void abandon(const std::string& why);
  void reply(const Asker& asker, bool ok, const std::string& text);
  void reopen_logs(Asker asker);

  void stop();
  void stop_at_once();
  void end_everything();

  ServerProcess* find(pid_t pid);
  ServerProcess* current();  // the newest that is ready
  std::string summary() const;

  KeeperOptions options_;
  KeeperLog log_;
  Helpers helpers_;
  IdentityTable identities_;
  ActivatedSockets activated_;
  std::shared_ptr<Setup> setup_;
  std::shared_ptr<BoundSocket> control_;
  std::string control_path_;
  UniqueFd signals_;
  std::vector<std::unique_ptr<ServerProcess>> servers_;
  std::optional<Change> change_;
  std::deque<std::pair<ChangeKind, Asker>> wanted_changes_;
  Clock::time_point restart_at_ = Clock::time_point::max();
  unsigned died_young_ = 0;
  std::uint64_t generation_ = 0;
  std::uint64_t crashes_ = 0;
  std::string last_crash_;
  std::int64_t started_ = 0;
  bool announced_ = false;
  bool stopping_ = false;
  bool finished_ = false;
  int exit_status_ = 0;
};

Result<UniqueFd> block_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2}) ::sigaddset(&set, number);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return fail_errno(errno, "cannot block signals");
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return fail_errno(errno, "cannot open a descriptor for signals");
  ::signal(SIGPIPE, SIG_IGN);
  return fd;
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

std::vector<pid_t> children_of_this_process() {
  std::ifstream file("/proc/thread-self/children");
  std::vector<pid_t> pids;
  for (pid_t pid; file >> pid;) pids.push_back(pid);
  return pids;
}

void say(const std::string& line) { std::cout << line << '\n' << std::flush; }

int Keeper::run() {
  if (!set_up()) return 1;
  while (!finished_) turn();
  end_everything();
  return exit_status_;
}

bool Keeper::set_up() {
  const auto refuse = [](const std::string& why) {
    std::cerr << "fivefold: " << why << '\n';
    return false;
  };
  auto signals = block_signals();
  if (!signals) return refuse(signals.error().message);
  signals_ = std::move(*signals);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  raise_descriptor_limit();
  started_ = ::time(nullptr);

  std::vector<std::string> notes;
  activated_ = describe_activated(std::move(options_.activated), notes);
  auto prepared = prepare_setup(std::move(options_.first), nullptr, false, activated_, identities_);
  if (!prepared.setup) {
    for (const auto& fault : prepared.faults) std::cerr << "fivefold: " << fault << '\n';
    return false;
  }
  setup_ = std::move(prepared.setup);
  if (!open_control()) return false;
  log_.use(setup_->logs.server.get());
  for (const auto& note : notes) log_.warn(note);
  for (const auto& note : setup_->notes) log_.warn(note);
  const auto cores = loop_count(0);
  if (auto started = helpers_.start(helper_count(setup_->config.server.spawners, cores)); !started)
    return refuse(started.error().message);
  helpers_.tell_identities(identities_.identities());
  if (!start_server(setup_)) {
    end_everything();
    return refuse("the server process could not be started; the log tells why");
  }
  return true;
}

bool Keeper::open_control() {
  const auto& configured = setup_->config.server.control;
  control_path_ = configured.empty() ? control::default_path() : configured;
  auto made = control::make_folder(control_path_);
  if (!made) {
    std::cerr << "fivefold: " << made.error().message << '\n';
    return false;
  }
  auto socket = open_unix(control_path_, 0600, 64);
  if (!socket && socket.error().code == Code::out_of_resources && options_.development && configured.empty()) {
    control_path_ = control::path_for_process(::getpid());
    socket = open_unix(control_path_, 0600, 64);
  }
  if (!socket) {
    const bool taken = socket.error().code == Code::out_of_resources;
    std::cerr << "fivefold: "
              << (taken ? "another Fivefold answers on the control socket " + control_path_ +
                              "; stop it (fivefold stop --control " + control_path_ +
                              "), or give this one a socket of its own: [server] control"
                        : socket.error().message)
              << '\n';
    return false;
  }
  control_ = std::move(*socket);
  return true;
}

// ---- one turn ----

int Keeper::timeout() const {
  auto next = restart_at_;
  for (const auto& server : servers_) next = std::min(next, server->kill_at);
  if (next == Clock::time_point::max()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

void Keeper::turn() {
  std::vector<pollfd> polled{{signals_.get(), POLLIN, 0}};
  helpers_.add_to(polled);
  const auto helper_end = polled.size();
  for (const auto& server : servers_) polled.push_back({server->socket ? server->socket.get() : -1, POLLIN, 0});
  std::vector<pid_t> pids;
  for (const auto& server : servers_) pids.push_back(server->pid);
  if (::poll(polled.data(), polled.size(), timeout()) < 0 && errno != EINTR) {
    log_.error("Waiting for events failed: " + errno_text(errno));
    finished_ = true;
    return;
  }
  for (std::size_t i = helper_end; i < polled.size(); ++i) {
    if (!(polled[i].revents & (POLLIN | POLLHUP | POLLERR))) continue;
    auto* server = find(pids[i - helper_end]);
    if (!server || !server->socket) continue;
    hear(*server);
  }
  for (std::size_t i = 1; i < helper_end; ++i)
    if (polled[i].revents) helpers_.heard(polled[i].fd);
  if (polled[0].revents & POLLIN) {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) on_signal(static_cast<int>(info.ssi_signo));
  }
  const auto now = Clock::now();
  for (const auto& server : servers_) {
    if (server->kill_at > now) continue;
    if (server->state == ServerProcess::State::starting)
      log_.error("The server process (pid " + std::to_string(server->pid) +
                 ") did not become ready in time; it is killed.");
    else
      log_.warn("The server process (pid " + std::to_string(server->pid) + ") did not end in time; it is killed.");
    server->kill_at = Clock::time_point::max();
    ::kill(server->pid, SIGKILL);
  }
  if (restart_at_ <= now) {
    restart_at_ = Clock::time_point::max();
    if (!stopping_ && !start_server(setup_)) start_after_delay();
  }
}

void Keeper::on_signal(int number) {
  switch (number) {
    case SIGCHLD:
      reap();
      break;
    case SIGTERM:
    case SIGINT:
      if (stopping_)
        stop_at_once();
      else
        stop();
      break;
    case SIGQUIT:
      stop_at_once();
      break;
    case SIGHUP:
      change(ChangeKind::reload, {});
      break;
    case SIGUSR1:
      reopen_logs({});
      break;
    default:
      break;
  }
}

// ---- processes ----

void Keeper::reap() {
  int status = 0;
  for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    if (find(pid))
      on_server_exit(pid, status);
    else if (helpers_.owns(pid))
      on_helper_exit(pid, status);
    // Others are orphans of programs, reaped here because this process is their subreaper.
  }
}

void Keeper::on_helper_exit(pid_t pid, int status) {
  if (stopping_ && servers_.empty()) {
    helpers_.forget(pid);
    return;
  }
  const auto index = helpers_.index_of(pid);
  helpers_.restart(pid, how_it_ended(status));
  for (const auto& server : servers_) {
    for (unsigned loop = 0; loop < server->setup->loops; ++loop) {
      if (!helpers_.serves(index, loop)) continue;
      auto socket = helpers_.connect(loop);
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
  std::vector<UniqueFd> sockets;
  for (unsigned loop = 0; loop < setup.loops; ++loop) {
    auto socket = helpers_.connect(loop);
    if (!socket) return std::unexpected(socket.error());
    spawners.push_back(fds.add(socket->get()));
    sockets.push_back(std::move(*socket));
  }
  const nlohmann::json hello = {
      {"type", "hello"},
      {"text", setup.text},
      {"file", setup.file},
      {"directory", setup.directory},
      {"account", to_json(setup.account)},
      {"identities", setup.identities},
      {"listeners", to_json(setup.listeners, fds, nullptr)},
      {"logs", to_json(setup.logs, fds)},
      {"control", fds.add(control_->fds.front().get())},
      {"control_path", control_path_},
      {"spawners", std::move(spawners)},
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
  server.state = ServerProcess::State::ready;
  server.kill_at = Clock::time_point::max();
  if (stopping_) {
    drain(server);
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
  if (!change_ && !wanted_changes_.empty()) {
    const auto [kind, asker] = wanted_changes_.front();
    wanted_changes_.pop_front();
    change(kind, asker);
  }
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

// ---- commands ----

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
    wanted_changes_.emplace_back(kind, asker);
    return;
  }
  begin(kind, {asker});
}

void Keeper::begin(ChangeKind kind, std::vector<Asker> askers) {
  options_.notifier.reloading();
  auto prepared =
      prepare_setup(options_.source.read(), setup_.get(), kind == ChangeKind::reload, activated_, identities_);
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
    return;
  }
  helpers_.tell_identities(identities_.identities());
  auto& server = *current();
  change_ = Change{kind, prepared.setup, std::move(askers), server.pid};
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
    for (auto& server : servers_)
      if (server->pid != done.server && server->state != ServerProcess::State::draining) drain(*server);
  } else if (auto* server = find(done.server)) {
    server->setup = setup_;
  }
  old.reset();  // closes the sockets of addresses that are no longer listened on
  options_.notifier.ready(summary());
  if (!wanted_changes_.empty()) {
    const auto [kind, asker] = wanted_changes_.front();
    wanted_changes_.pop_front();
    change(kind, asker);
  }
}

void Keeper::abandon(const std::string& why) {
  auto given_up = std::move(*change_);
  change_.reset();
  log_.error("The configuration is not taken over: " + why);
  for (const auto& asker : given_up.askers) reply(asker, false, "The configuration is not taken over: " + why);
  options_.notifier.ready(summary());
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

// ---- the end ----

void Keeper::drain(ServerProcess& server) {
  const auto deadline = setup_->config.server.timeouts.drain;
  server.state = ServerProcess::State::draining;
  server.kill_at = Clock::now() + deadline + kDrainMargin;
  send(server, {{"type", "drain"}, {"deadline_ms", deadline.count()}});
}

void Keeper::stop() {
  stopping_ = true;
  restart_at_ = Clock::time_point::max();
  options_.notifier.stopping();
  log_.info("Stopping: requests in flight are finished first.");
  for (const auto& [kind, asker] : wanted_changes_) reply(asker, false, "Fivefold is stopping.");
  wanted_changes_.clear();
  for (auto& server : servers_) {
    if (server->state == ServerProcess::State::ready) drain(*server);
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

void Keeper::end_everything() {
  for (auto& server : servers_) ::kill(server->pid, SIGKILL);
  helpers_.stop();
  const auto deadline = Clock::now() + kHelperEnd;
  while (!helpers_.gone() && Clock::now() < deadline) {
    pollfd polled{signals_.get(), POLLIN, 0};
    ::poll(&polled, 1, 100);
    signalfd_siginfo info{};
    bool again = false;
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) again |= info.ssi_signo != SIGCHLD;
    for (pid_t pid; (pid = ::waitpid(-1, nullptr, WNOHANG)) > 0;) helpers_.forget(pid);
    if (again) break;  // asked once more: no more waiting
  }
  // What is left: a helper that hangs, and orphans that no helper could end.
  for (int round = 0; round < 100; ++round) {
    for (const pid_t pid : children_of_this_process()) ::kill(pid, SIGKILL);
    pid_t pid = 0;
    while ((pid = ::waitpid(-1, nullptr, WNOHANG)) > 0) {
    }
    if (pid < 0) break;  // ECHILD: nobody is left
    ::poll(nullptr, 0, 20);
  }
  log_.info("Stopped.");
  control_.reset();
  setup_.reset();
}

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

int run_keeper(KeeperOptions options) { return Keeper(std::move(options)).run(); }

}  // namespace fivefold::app
