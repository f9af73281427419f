#pragma once
// The keeper's state and what it does with it. Its parts: keeper.cc starts, waits and ends; keeper_servers.cc has the
// server processes; keeper_changes.cc reload, restart and the other commands.
#include <chrono>
#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "app/keeper/helpers.h"
#include "app/keeper/keeper.h"
#include "app/keeper/log_rotation.h"
#include "app/keeper/setup.h"
#include "app/parcel.h"

namespace fivefold::app {

using Clock = std::chrono::steady_clock;

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
  pid_t server;                                      // reload: the one told; restart: the new one
  Clock::time_point due = Clock::time_point::max();  // a reload that is not answered by then has failed
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
  // With `keep_idle` (its successor serves) its idle connections may ask once more.
  void drain(ServerProcess& server, bool keep_idle);

  void change(ChangeKind kind, Asker asker);
  void begin(ChangeKind kind, std::vector<Asker> askers);
  void commit();
  void next_change();
  void abandon(const std::string& why);
  void reply(const Asker& asker, bool ok, const std::string& text);
  void reopen_logs(Asker asker);
  void rotate_logs(Clock::time_point now);

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
  RuntimeFolder runtime_;
  LogRotation rotation_;
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

}  // namespace fivefold::app
