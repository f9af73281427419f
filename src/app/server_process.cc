#include "app/server_process.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <thread>

#include "app/keeper/listeners.h"
#include "app/keeper/self_exec.h"
#include "app/parcel.h"
#include "app/privileges.h"
#include "app/server_logs.h"
#include "app/wiring.h"
#include "base/text.h"
#include "config/load.h"
#include "config/worker_executable.h"
#include "control/control_server.h"
#include "net/blocking.h"
#include "net/channel.h"
#include "net/resolver.h"
#include "process/spawner_client.h"
#include "serve/http_server.h"

namespace fivefold::app {
namespace {

constexpr std::chrono::seconds kLookAtLogs{2};  // how often it is looked whether logs can be written

ProgramPlaces places_from_json(const nlohmann::json& content) {
  return {.identities = content.at("identities").get<std::map<std::string, std::uint32_t>>(),
          .runtime = content.at("runtime").get<std::map<std::string, std::string>>()};
}

// Where our own helpers for programs lie (node/preload.cjs, java/launcher.jar): installed beside the executable's
// folder, or in a build folder.
std::string workers_folder() {
  std::error_code error;
  const auto folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const auto& candidate : {folder / "workers", folder / "../share/fivefold", folder / "../../share/fivefold"})
    if (std::filesystem::exists(candidate / "node" / "preload.cjs", error))
      return std::filesystem::canonical(candidate, error).string();
  return "/usr/share/fivefold";
}

// One event loop with what lives on it.
struct LoopWorld {
  LoopWorld(unsigned index, net::BlockingPool& blocking, UniqueFd spawner_socket)
      : loop(index),
        spawner(process::make_spawner_client(loop, std::move(spawner_socket))),
        world{loop, blocking, *spawner} {}
  net::Loop loop;
  std::unique_ptr<process::SpawnerClient> spawner;
  exchange::World world;
  std::thread thread;
};

Result<std::shared_ptr<const config::Config>> parse_config(const nlohmann::json& message) {
  const auto text = message.value("text", "");
  auto loaded = config::parse(text, message.value("file", ""), message.value("directory", ""));
  if (loaded.config) return std::make_shared<const config::Config>(std::move(*loaded.config));
  std::string why = "the configuration cannot be used";
  for (const auto& fault : loaded.faults)
    if (fault.severity == config::Fault::Severity::error) why += "\n" + config::to_string(fault);
  return fail(Code::internal, why);
}

// A measuring aid: a server process of a given size (bench/README.md).
void take_ballast() {
  const char* wanted = std::getenv("FIVEFOLD_BALLAST_MB");
  const auto megabytes = wanted ? parse_decimal(wanted) : std::nullopt;
  if (!megabytes || *megabytes == 0 || *megabytes > 1024 * 1024) return;
  const std::size_t size = *megabytes * 1024 * 1024;
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return;
  for (std::size_t at = 0; at < size; at += 4096) static_cast<volatile char*>(memory)[at] = 1;
}

class ServerProcess {
 public:
  ServerProcess(Parcel hello, std::shared_ptr<const config::Config> config, UniqueFd keeper);
  ~ServerProcess();
  int run();
  // Why it cannot serve; empty when it can.
  const std::string& failure() const { return failure_; }

 private:
  void heard(std::string_view message, std::vector<UniqueFd> fds);
  void on_parcel(Parcel parcel);
  void reload(Parcel parcel);
  void drain(std::chrono::milliseconds deadline, bool keep_idle);
  void restart_program(const std::string& name, control::ControlServer::Told told);
  WiringContext wiring() { return {logs_, view_, static_cast<unsigned>(worlds_.size()), *applications_, *modules_}; }
  bool tell(const nlohmann::json& content);
  static void watch_logs(void* self);

  // In the order of need: what stands above outlives what stands below.
  net::Loop main_;
  ServerLogs logs_;
  control::ServerView view_;
  net::BlockingPool blocking_;
  net::Resolver resolver_{blocking_};
  std::vector<std::unique_ptr<LoopWorld>> worlds_;
  std::vector<std::unique_ptr<process::SpawnerClient>> supervisors_;  // of the main loop, one per spawning helper
  std::unique_ptr<models::app::Applications> applications_;
  std::unique_ptr<models::module::Modules> modules_;
  std::unique_ptr<serve::HttpServer> http_;
  std::unique_ptr<control::ControlServer> control_;
  ParcelReader reader_;
  std::unique_ptr<net::Channel> channel_;
  net::Timer log_watch_{main_.timers(), &ServerProcess::watch_logs, this};
  int exit_status_ = 0;
  std::string failure_;
};

ServerProcess::ServerProcess(Parcel hello, std::shared_ptr<const config::Config> config, UniqueFd keeper)
    : main_(~0u), logs_(log_files_from_json(hello, hello.content.at("logs")), config->server.log_level) {
  const auto& content = hello.content;
  const auto now = static_cast<std::int64_t>(::time(nullptr));
  view_.keeper_pid = content.value("keeper_pid", 0);
  view_.started = content.value("started", now);
  view_.server_started = now;
  view_.generation = content.value("generation", std::uint64_t{1});
  view_.crashes = content.value("crashes", std::uint64_t{0});
  view_.last_crash = content.value("last_crash", "");
  view_.control_path = content.value("control_path", "");
  const auto account = account_from_json(content.at("account"));
  view_.user = account.switch_user ? account.user : "";
  view_.configured_at = now;

  std::vector<exchange::World*> worlds;
  for (const auto& socket : content.at("spawners")) {
    worlds_.push_back(
        std::make_unique<LoopWorld>(static_cast<unsigned>(worlds_.size()), blocking_, take_descriptor(hello, socket)));
    worlds.push_back(&worlds_.back()->world);
  }
  models::app::AppSurroundings surroundings{
      .home = main_, .loops = {}, .spawners = {}, .resolver = resolver_, .workers = workers_folder()};
  for (auto& world : worlds_) surroundings.loops.push_back(&world->loop);
  for (const auto& socket : content.at("supervisor_spawners")) {
    supervisors_.push_back(process::make_spawner_client(main_, take_descriptor(hello, socket)));
    surroundings.spawners.push_back(supervisors_.back().get());
  }
  applications_ = std::make_unique<models::app::Applications>(std::move(surroundings), blocking_, logs_.log(),
                                                              content.value("predecessor", false));
  models::module::ModuleSurroundings module_surroundings{.home = main_, .loops = {}, .spawners = {}};
  for (auto& world : worlds_) module_surroundings.loops.push_back(&world->loop);
  for (auto& supervisor : supervisors_) module_surroundings.spawners.push_back(supervisor.get());
  modules_ = std::make_unique<models::module::Modules>(std::move(module_surroundings), blocking_, logs_.log(),
                                                       config::worker_executable);
  auto made = make_site(std::move(config), places_from_json(content), wiring());
  std::shared_ptr<const serve::Site> site;
  if (made) {
    site = std::move(*made);
  } else {
    failure_ = made.error().message;
    return;
  }
  http_ = std::make_unique<serve::HttpServer>(std::move(worlds), logs_.log(), logs_.access(), std::move(site));
  view_.http = http_.get();
  http_->set_listeners(listeners_from_json(hello, content.at("listeners")));
  control_ = std::make_unique<control::ControlServer>(
      main_, take_descriptor(hello, content.at("control")), content.value("keeper_uid", uid_t{0}), view_, logs_.log(),
      [this](std::uint64_t id, const std::string& command) {
        return tell({{"type", "command"}, {"id", id}, {"command", command}});
      },
      [this](const std::string& program, control::ControlServer::Told told) {
        restart_program(program, std::move(told));
      });
  channel_ = std::make_unique<net::Channel>(
      main_, std::move(keeper),
      [this](std::string_view message, std::vector<UniqueFd> fds) { heard(message, std::move(fds)); },
      [this] {
        exit_status_ = 1;
        main_.stop();  // the keeper is gone, and this process must not outlive it
      });
}

// What goes on in the background of one loop may lead to others (a worker's channels, an application's connections): it
// ends while all of them are there, and after the requests, which may still put something there.
ServerProcess::~ServerProcess() {
  channel_.reset();
  control_.reset();
  http_.reset();
  for (auto& world : worlds_) world->world.background.clear();
}

int ServerProcess::run() {
  for (auto& world : worlds_) world->thread = std::thread([&loop = world->loop] { loop.run(); });
  tell({{"type", "ready"}});
  log_watch_.set(main_.now() + kLookAtLogs);
  main_.run();
  channel_.reset();
  control_.reset();
  for (auto& world : worlds_) world->loop.stop();
  for (auto& world : worlds_) world->thread.join();
  logs_.flush();
  return exit_status_;
}

bool ServerProcess::tell(const nlohmann::json& content) {
  return channel_ &&
         channel_->send("." + content.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)).has_value();
}

void ServerProcess::watch_logs(void* self) {
  auto& server = *static_cast<ServerProcess*>(self);
  server.logs_.report_failures();
  server.log_watch_.set(server.main_.now() + kLookAtLogs);
}

void ServerProcess::heard(std::string_view message, std::vector<UniqueFd> fds) {
  auto parcel = reader_.feed(message, std::move(fds));
  if (!parcel)
    logs_.log().error("{}", parcel.error().message);
  else if (*parcel)
    on_parcel(std::move(**parcel));
}

void ServerProcess::on_parcel(Parcel parcel) {
  const auto& content = parcel.content;
  const auto type = content.value("type", "");
  if (type == "reload") {
    reload(std::move(parcel));
  } else if (type == "reopen") {
    logs_.reopen(log_files_from_json(parcel, content.at("logs")));
  } else if (type == "reply") {
    control_->answer(content.value("id", std::uint64_t{0}), content.value("ok", false), content.value("text", ""));
  } else if (type == "drain") {
    drain(std::chrono::milliseconds(content.value("deadline_ms", std::int64_t{0})), content.value("keep_idle", false));
  } else if (type == "spawner") {
    if (content.value("supervisor", false)) {
      const auto helper = content.value("index", std::size_t{0});
      if (helper < supervisors_.size()) supervisors_[helper]->reconnect(take_descriptor(parcel, content.at("fd")));
      return;
    }
    const auto index = content.value("loop", std::size_t{0});
    if (index >= worlds_.size()) return;
    auto& world = *worlds_[index];
    auto socket = std::make_shared<UniqueFd>(take_descriptor(parcel, content.at("fd")));
    world.loop.post([&world, socket] { world.spawner->reconnect(std::move(*socket)); });
  }
}

void ServerProcess::reload(Parcel parcel) {
  const auto& content = parcel.content;
  auto config = parse_config(content);
  if (!config) {
    tell({{"type", "reloaded"}, {"ok", false}, {"text", config.error().message}});
    return;
  }
  const auto level = (*config)->server.log_level;
  logs_.reopen(log_files_from_json(parcel, content.at("logs")));  // before the site: its programs' files are among them
  auto site = make_site(*config, places_from_json(content), wiring());
  if (!site) {
    tell({{"type", "reloaded"}, {"ok", false}, {"text", site.error().message}});
    return;
  }
  logs_.set_level(level);
  http_->set_site(std::move(*site));
  applications_->retire_all_but(**config);
  modules_->retire_all_but(**config);
  http_->set_listeners(listeners_from_json(parcel, content.at("listeners")));
  ++view_.reloads;
  view_.configured_at = ::time(nullptr);
  // The answer means that every loop serves by the new configuration: each has what was posted to it above behind it
  // then.
  auto left = std::make_shared<std::atomic<std::size_t>>(worlds_.size());
  for (auto& world : worlds_)
    world->loop.post([this, left] {
      if (--*left == 0) main_.post([this] { tell({{"type", "reloaded"}, {"ok", true}}); });
    });
}

void ServerProcess::drain(std::chrono::milliseconds deadline, bool keep_idle) {
  control_->stop_accepting();
  if (keep_idle) {
    // The successor takes the instances over; what is under way on them here goes on.
    applications_->disown_all();
    modules_->hand_over();
    http_->drain(deadline, serve::HttpServer::Idle::keep, [this] { main_.post([this] { main_.stop(); }); });
    return;
  }
  http_->drain(deadline, serve::HttpServer::Idle::close, [this] {
    main_.post([this] {
      applications_->shutdown(main_.now(), [this] { modules_->shutdown(main_.now(), [this] { main_.stop(); }); });
    });
  });
}

void ServerProcess::restart_program(const std::string& name, control::ControlServer::Told told) {
  const bool module = modules_->has(name);
  auto done = [name, module, told = std::move(told)](Result<void> result) {
    if (result)
      told(true, std::string(module ? "The workers of " : "The instances of ") + name + " have been replaced.");
    else
      told(false, result.error().message);
  };
  module ? modules_->restart(name, std::move(done)) : applications_->restart(name, std::move(done));
}

int give_up(int keeper, const std::string& why) {
  const auto sent = send_parcel(keeper, {{"type", "failed"}, {"text", why}});
  if (!sent) std::cerr << "fivefold: the server process could not start: " << why << '\n';
  return 1;
}

}  // namespace

int run_server_process() {
  leave_signals_to_keeper();
  UniqueFd keeper(kKeeperSocket);
  ParcelReader reader;
  auto hello = receive_parcel(keeper.get(), reader);
  if (!hello || hello->content.value("type", "") != "hello") {
    std::cerr << "fivefold: this command is for Fivefold itself; start it with `fivefold run` or `fivefold serve`\n";
    return 1;
  }
  const auto& content = hello->content;
  if (auto dropped = drop_privileges(account_from_json(content.at("account"))); !dropped)
    return give_up(keeper.get(), dropped.error().message);
  if (auto tied = end_with_keeper(content.value("keeper_pid", 0)); !tied)
    return give_up(keeper.get(), tied.error().message);
  auto config = parse_config(content);
  if (!config) return give_up(keeper.get(), config.error().message);
  take_ballast();
  const int keeper_socket = keeper.get();
  ServerProcess server(std::move(*hello), std::move(*config), std::move(keeper));
  if (!server.failure().empty()) return give_up(keeper_socket, server.failure());
  return server.run();
}

}  // namespace fivefold::app
