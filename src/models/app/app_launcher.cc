#include "models/app/app_launcher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "models/app/health_probe.h"
#include "models/app/start_diagnosis.h"
#include "net/connect.h"
#include "net/short_timer.h"
#include "process/user_home.h"

namespace fivefold::models::app {
namespace {

using config::AppKind;
using process::Launched;

constexpr int kListenBacklog = 4096;

// A port of 127.0.0.1 that nobody listens on. Somebody else may take it before the application does; its start fails
// then, and the next try has another one.
std::uint16_t free_port() {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (!fd || ::bind(fd.get(), generic, length) != 0 || ::getsockname(fd.get(), generic, &length) != 0) return 0;
  return ntohs(address.sin_port);
}

Result<UniqueFd> bind_unix(const std::string& path, int type) {
  auto address = net::SocketAddress::unix_path(path);
  if (!address) return std::unexpected(std::move(address.error()));
  UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno(errno, "make a socket for an instance", Code::out_of_resources);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address->storage), address->length) != 0)
    return fail_errno(errno, "bind " + path);
  ::chmod(path.c_str(), 0666);  // its folder keeps strangers out
  if (type == SOCK_STREAM && ::listen(fd.get(), kListenBacklog) != 0) return fail_errno(errno, "listen on " + path);
  return fd;
}

// A listening socket that the application gets is a blocking one, as sd_listen_fds(3) hands them over.
void make_blocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK); }

struct Pipe {
  UniqueFd read, write;
};
Result<Pipe> make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return fail_errno(errno, "make a pipe for an instance", Code::out_of_resources);
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

// Everybody may write in it: the folder around it lets in only the program's user and the server. What is made in it
// belongs to the server's group, so that the server may connect to a socket that another user's program has made.
Result<void> make_folder(const std::string& folder, bool with_tmp) {
  std::error_code error;
  std::filesystem::remove_all(folder, error);  // of an instance long gone
  if (::mkdir(folder.c_str(), 0700) != 0 || ::chmod(folder.c_str(), 02777) != 0)
    return fail_errno(errno, "make the folder " + folder);
  const auto tmp = folder + "/tmp";
  if (with_tmp && (::mkdir(tmp.c_str(), 0700) != 0 || ::chmod(tmp.c_str(), 0777) != 0))
    return fail_errno(errno, "make the folder " + tmp);
  return {};
}

// Whether READY=1 has come (sd_notify(3)).
bool was_notified(int socket) {
  char message[4096];
  while (socket >= 0) {
    const auto got = ::recv(socket, message, sizeof message, MSG_DONTWAIT);
    if (got < 0) return false;
    const std::string_view text(message, static_cast<std::size_t>(got));
    for (std::size_t at = 0; at < text.size();) {
      const auto end = std::min(text.find('\n', at), text.size());
      if (text.substr(at, end - at) == "READY=1") return true;
      at = end + 1;
    }
  }
  return false;
}

// Whom the program runs as, and where that user is at home.
LaunchSurroundings surroundings_of(const config::Program& program, const std::string& workers) {
  auto user = process::home_of(program.user);
  return {.workers = workers,
          .home = std::move(user.home),
          .user_name = user.name.empty() ? program.user : std::move(user.name)};
}

// co_await Pause(loop, time): a wait of a few milliseconds.
class [[nodiscard]] Pause {
 public:
  Pause(net::Loop& loop, std::chrono::milliseconds time)
      : timer_(loop, [](void* self) { static_cast<Pause*>(self)->awaiting_.resume(); }, this), time_(time) {}
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> awaiting) {
    awaiting_ = awaiting;
    timer_.set(time_);
  }
  void await_resume() const {}

 private:
  net::ShortTimer timer_;
  std::chrono::milliseconds time_;
  std::coroutine_handle<> awaiting_;
};

// The Host that an application is asked under where the configuration names none: somebody else's by its address, which
// may be one of many names there.
std::string own_host(const config::App& app, const upstream::Endpoint& endpoint) {
  if (app.kind != AppKind::address || endpoint.host.empty()) return "localhost";
  auto text = endpoint.text();
  if (endpoint.tls) text.erase(0, text.find("//") + 2);
  if (endpoint.port == (endpoint.tls ? 443 : 80)) text.resize(text.rfind(':'));
  return text;
}

}  // namespace

std::string to_text(const KeptInstance& kept) {
  return nlohmann::json{{"program", kept.program},
                        {"id", kept.id},
                        {"fingerprint", kept.fingerprint},
                        {"folder", kept.folder},
                        {"endpoints", kept.endpoints}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::optional<KeptInstance> kept_from_text(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  KeptInstance kept;
  const auto text_of = [&json](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  kept.program = text_of("program");
  kept.fingerprint = text_of("fingerprint");
  kept.folder = text_of("folder");
  if (const auto list = json.find("endpoints"); list != json.end() && list->is_array())
    for (const auto& endpoint : *list)
      if (endpoint.is_string()) kept.endpoints.push_back(endpoint.get<std::string>());
  if (const auto id = json.find("id"); id != json.end() && id->is_number_unsigned()) kept.id = id->get<std::uint32_t>();
  if (kept.program.empty() || kept.endpoints.empty() || kept.id == 0) return std::nullopt;
  return kept;
}

AppLauncher::AppLauncher(AppSurroundings& surroundings, config::Program program, std::uint32_t identity,
                         std::string root, std::string folder, LineFile& log, std::shared_ptr<net::TlsClient> tls)
    : surroundings_(surroundings),
      program_(std::move(program)),
      identity_(identity),
      root_(std::move(root)),
      folder_(std::move(folder)),
      log_(log),
      tls_(std::move(tls)),
      launch_(surroundings_of(program_, surroundings.workers)),
      taken_(program_.app.address.size()) {}

process::Spawner& AppLauncher::spawner_for(std::uint32_t id) const {
  return *surroundings_.spawners[id % surroundings_.spawners.size()];
}

std::shared_ptr<AppAddress> AppLauncher::address_at(upstream::Endpoint endpoint) const {
  const auto& app = program_.app;
  upstream::ConnectionLimits limits{.connect_timeout = app.connect_timeout,
                                    .idle = app.keep_alive,
                                    .buffer = std::max<std::size_t>(65536, app.output_head + 4096)};
  if (app.keep_alive.count() == 0) limits.most_idle = 0;
  return std::make_shared<AppAddress>(std::move(endpoint), limits, surroundings_.loops, surroundings_.resolver, tls_);
}

HealthProbe AppLauncher::health(const upstream::Endpoint& endpoint) const {
  const auto& app = program_.app;
  return {.path = app.protocol == config::Protocol::http ? app.health_path : std::string(),
          .host = app.host.empty() ? own_host(app, endpoint) : app.host,
          .timeout = app.health_timeout};
}

net::Task<Result<Launched>> AppLauncher::launch(std::uint32_t id, std::shared_ptr<process::Journey> journey) {
  if (program_.app.kind == AppKind::address) {
    auto reached = co_await reach(id, std::move(journey));
    co_return reached;
  }
  net::Loop& home = surroundings_.home;
  const auto& app = program_.app;
  const InstancePlace place{.id = id, .folder = folder_ + "/" + std::to_string(id), .port = free_port()};
  auto plan = plan_launch(program_, root_, place, launch_);
  journey->step("found", home.now(), plan.spawn.directory);
  journey->step("command", home.now(), plan.command_line);

  const auto say = [&journey](Error error, std::string mend = {}) {
    journey->failed(error.message, std::move(mend));
    return std::unexpected(std::move(error));
  };
  if (auto made = make_folder(place.folder, app.private_tmp); !made) co_return say(std::move(made.error()));
  auto process = std::make_unique<AppProcess>(home, spawner_for(id), place.folder, log_, program_.name, id);
  UniqueFd listening, notify;
  if (app.socket_activation) {
    auto bound = bind_unix(place.socket(), SOCK_STREAM);
    if (!bound) co_return say(std::move(bound.error()));
    listening = std::move(*bound);
    make_blocking(listening.get());
    plan.spawn.extra_fds.push_back(listening.get());
  }
  if (app.ready == config::Ready::notify) {
    auto bound = bind_unix(place.notify_socket(), SOCK_DGRAM);
    if (!bound) co_return say(std::move(bound.error()));
    notify = std::move(*bound);
  }
  auto output = make_pipe();
  if (!output) co_return say(std::move(output.error()));
  auto error_output = make_pipe();
  if (!error_output) co_return say(std::move(error_output.error()));
  plan.spawn.program = identity_;
  plan.spawn.stdout_fd = output->write.get();
  plan.spawn.stderr_fd = error_output->write.get();
  // Where it will answer is not known before it does: the next server looks as this one would have.
  const upstream::Endpoint by_socket{.path = place.socket()};
  const upstream::Endpoint by_port{.host = "127.0.0.1", .port = place.port};
  std::vector<std::string> endpoints;
  if (plan.may_use_socket) endpoints.push_back(by_socket.text());
  if (plan.may_use_port) endpoints.push_back(by_port.text());
  plan.spawn.keep = to_text({.program = program_.name,
                             .id = id,
                             .fingerprint = fingerprint_of(program_, root_, folder_),
                             .folder = place.folder,
                             .endpoints = std::move(endpoints)});
  plan.spawn.kept_fds = {output->read.get(), error_output->read.get()};

  auto child = co_await spawner_for(id).spawn(plan.spawn);
  if (!child) {
    auto mend = likely_mend({.program = program_, .root = root_, .message = child.error().message});
    co_return say(std::move(child.error()), std::move(mend));
  }
  (*child)->set_grace(app.stop_grace);
  journey->step("spawned", home.now(), "pid " + std::to_string((*child)->pid()));
  listening.reset();
  output->write.reset();
  error_output->write.reset();
  process->tell(journey);
  process->started(std::move(*child), std::move(output->read), std::move(error_output->read));

  auto endpoint = co_await wait_until_ready(*process, plan, place, notify.get(), journey);
  if (!endpoint) co_return std::unexpected(std::move(endpoint.error()));
  journey->step("ready", home.now(), endpoint->text());
  auto address = address_at(std::move(*endpoint));
  process->answers_at(address, health(address->endpoint()));
  co_return Launched{std::move(process), std::move(address)};
}

net::Task<Result<upstream::Endpoint>> AppLauncher::wait_until_ready(AppProcess& process, const LaunchPlan& plan,
                                                                    InstancePlace place, int notify_socket,
                                                                    std::shared_ptr<process::Journey> journey) {
  net::Loop& home = surroundings_.home;
  const auto& app = program_.app;
  const auto deadline = home.now() + app.start_timeout;
  const upstream::Endpoint by_socket{.path = place.socket()};
  const upstream::Endpoint by_port{.host = "127.0.0.1", .port = place.port};
  std::chrono::milliseconds pause = kFirstLook;
  bool notified = app.ready == config::Ready::listening;
  while (true) {
    if (const auto& exit = process.child()->exit_status()) {
      Error error{Code::program_failed, "the application " + process::in_words(*exit) + " before it was ready"};
      auto told = co_await failed(process, std::move(error), false, journey);
      co_return std::unexpected(std::move(told));
    }
    if (!notified && (was_notified(notify_socket) || ::access(place.ready_file().c_str(), F_OK) == 0)) {
      notified = true;
      journey->step("said that it is ready", home.now());
    }
    if (notified) {
      const auto patience = home.now() + std::chrono::seconds(1);
      if (app.socket_activation && app.ready == config::Ready::notify) co_return by_socket;
      if (app.socket_activation) {
        // The socket accepts for an application that is not there yet; only an answer tells.
        if (app.protocol != config::Protocol::http) co_return by_socket;
        HealthProbe probe{.path = "*", .host = "localhost", .timeout = std::chrono::milliseconds(1000)};
        upstream::Connections connections(home, by_socket, {.connect_timeout = probe.timeout}, nullptr, nullptr);
        auto answered = co_await probe_health(connections, probe);
        const bool alive = answered || answered.error().message.find("status") != std::string::npos;
        if (alive) co_return by_socket;
      } else {
        if (plan.may_use_socket) {
          const bool open = co_await accepts(home, by_socket, patience);
          if (open) co_return by_socket;
        }
        if (plan.may_use_port) {
          const bool open = co_await accepts(home, by_port, patience);
          if (open) co_return by_port;
        }
      }
    }
    if (home.now() >= deadline) {
      const auto seconds = std::chrono::duration<double>(app.start_timeout).count();
      Error error{Code::program_failed,
                  fmt::format("the application was not ready within its start_timeout of {:g} s", seconds)};
      auto told = co_await failed(process, std::move(error), true, journey);
      co_return std::unexpected(std::move(told));
    }
    co_await Pause(home, pause);
    pause = std::min(pause * 3 / 2 + std::chrono::milliseconds(1), kLongestLook);
  }
}

net::Task<Error> AppLauncher::failed(AppProcess& process, Error error, bool timed_out,
                                     std::shared_ptr<process::Journey> journey) {
  net::Loop& home = surroundings_.home;
  for (const auto until = home.now() + kLastOutput; !timed_out && !process.output_ended() && home.now() < until;)
    co_await Pause(home, kFirstLook);
  auto message = error.message;
  if (timed_out) {
    const auto where = process.where_it_hangs();
    if (!where.empty()) journey->output("\n[" + where + "]\n");
  }
  journey->failed(std::move(message), likely_mend({.program = program_,
                                                   .root = root_,
                                                   .message = error.message,
                                                   .output = journey->output_tail(),
                                                   .exit = process.child()->exit_status(),
                                                   .timed_out = timed_out}));
  co_return error;
}

// Somebody else's process: whether it answers is seen when it is asked.
net::Task<Result<Launched>> AppLauncher::reach(std::uint32_t, std::shared_ptr<process::Journey> journey) {
  for (std::size_t i = 0; i < taken_.size(); ++i) {
    if (!taken_[i].expired()) continue;
    auto endpoint = upstream::parse_endpoint(program_.app.address[i]);
    if (!endpoint) co_return std::unexpected(std::move(endpoint.error()));
    journey->step("address", surroundings_.home.now(), endpoint->text());
    auto address = address_at(std::move(*endpoint));
    taken_[i] = address;
    auto process = std::make_unique<AppProcess>(surroundings_.home);
    process->answers_at(address, health(address->endpoint()));
    co_return Launched{std::move(process), std::move(address)};
  }
  co_return fail(Code::program_unavailable, "every address is in use by an instance already");
}

net::Task<Result<Launched>> AppLauncher::adopt(KeptInstance kept, process::KeptProcess given,
                                               process::Spawner& spawner) {
  net::Loop& home = surroundings_.home;
  auto process = std::make_unique<AppProcess>(home, spawner, kept.folder, log_, program_.name, kept.id);
  given.child->set_grace(program_.app.stop_grace);
  given.fds.resize(2);
  process->started(std::move(given.child), std::move(given.fds[0]), std::move(given.fds[1]));
  for (const auto& text : kept.endpoints) {
    auto endpoint = upstream::parse_endpoint(text);
    if (!endpoint) continue;
    const bool open = co_await accepts(home, *endpoint, home.now() + std::chrono::seconds(1));
    if (!open) continue;
    auto address = address_at(std::move(*endpoint));
    process->answers_at(address, health(address->endpoint()));
    co_return Launched{std::move(process), std::move(address)};
  }
  co_return fail(Code::program_unavailable, "it does not accept connections");
}

}  // namespace fivefold::models::app
