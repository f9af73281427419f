#include "models/app/applications.h"

#include <stdlib.h>

#include "models/app/app_handler.h"

namespace fivefold::models::app {

struct Applications::Application {
  config::Program program;
  std::uint32_t identity = 0;
  std::string folder;
  std::string root;  // links resolved
  LineFile* program_log = nullptr;
  std::shared_ptr<net::TlsClient> tls;
  std::shared_ptr<process::Pool> pool;
  std::shared_ptr<process::PoolStatus> status;
  std::shared_ptr<AppLauncher> launcher;
  std::unique_ptr<process::FolderWatch> watch;
};

namespace {

process::PoolSettings pool_settings(const config::Program& program) {
  const auto& app = program.app;
  process::PoolSettings settings{.min_instances = app.min_instances,
                                 .max_instances = app.max_instances,
                                 .idle_timeout = app.instance_idle_timeout,
                                 .concurrency = app.concurrency,
                                 .queue = program.queue,
                                 .queue_timeout = program.queue_timeout,
                                 .max_requests = program.max_requests,
                                 .max_memory = app.max_memory,
                                 .max_age = app.max_age,
                                 .drain = app.drain,
                                 .stop_grace = app.stop_grace,
                                 .start_retries = app.start_retries,
                                 .health_failures = app.health_failures,
                                 .eject_failures = app.eject_failures};
  if (!app.health_path.empty()) settings.health_interval = app.health_interval;
  if (app.kind == config::AppKind::address)
    settings.min_instances = settings.max_instances = static_cast<std::uint32_t>(app.address.size());
  return settings;
}

Result<std::shared_ptr<net::TlsClient>> tls_client(const config::App& app, Log& log, const std::string& name) {
  for (const auto& address : app.address) {
    const auto endpoint = upstream::parse_endpoint(address);
    if (!endpoint || !endpoint->tls) continue;
    if (!app.tls_verify)
      log.warn("program {}: tls.verify is false: whoever answers at {} is believed", name, endpoint->text());
    return net::TlsClient::make({.server_name = app.tls_name.empty() ? endpoint->host : app.tls_name,
                                 .ca_file = app.tls_ca,
                                 .verify = app.tls_verify,
                                 .certificate = app.tls_certificate,
                                 .key = app.tls_key});
  }
  return std::shared_ptr<net::TlsClient>();
}

}  // namespace

Applications::Applications(AppSurroundings surroundings, net::BlockingPool& blocking, Log& log, bool expects_instances)
    : surroundings_(std::move(surroundings)), blocking_(blocking), log_(log) {
  adoption_ends_ = surroundings_.home.now() + (expects_instances ? kAdoptionWait : std::chrono::milliseconds(0));
  for (auto* spawner : surroundings_.spawners)
    spawner->adopt([this, spawner](process::KeptProcess process) { adopted(std::move(process), *spawner); });
}

Applications::~Applications() { tasks_.clear(); }

Result<AppModel> Applications::configure(const config::Program& program, const config::Server& server,
                                         std::uint32_t identity, std::string folder, std::string document_root,
                                         LineFile& program_log) {
  auto tls = tls_client(program.app, log_, program.name);
  if (!tls) return std::unexpected(std::move(tls.error()));
  auto& application = applications_[program.name];
  if (!application) {
    application = std::make_unique<Application>();
    application->pool = std::make_shared<process::Pool>(program.name, surroundings_.home, log_);
    application->status = std::make_shared<process::PoolStatus>(program.name, "app", "instance", application->pool);
  }
  const bool watch_differs = application->program.app.root != program.app.root ||
                             application->program.watch != program.watch || !application->watch;
  application->program = program;
  application->identity = identity;
  application->folder = std::move(folder);
  application->root = program.app.root.empty() ? std::string() : process::resolved(program.app.root);
  application->program_log = &program_log;
  application->tls = std::move(*tls);
  application->launcher = std::make_shared<AppLauncher>(surroundings_, program, identity, application->root,
                                                        application->folder, program_log, application->tls);
  const auto now = surroundings_.home.now();
  const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(adoption_ends_ - now);
  application->pool->configure(pool_settings(program), application->launcher,
                               fingerprint_of(program, application->root, application->folder),
                               std::max(wait, std::chrono::milliseconds(0)));
  if (watch_differs) {
    application->watch.reset();
    if (program.app.kind != config::AppKind::address)
      application->watch = std::make_unique<process::FolderWatch>(
          surroundings_.home, blocking_, program.app.root, program.watch,
          [this, name = program.name](const process::FolderWatch::Change& change) {
            if (const auto found = applications_.find(name); found != applications_.end())
              changed(*found->second, change);
          });
  }

  const char* temporary = ::secure_getenv("TMPDIR");
  gateway::CgiSettings settings{.server_name = server.server_name,
                                .document_root = std::move(document_root),
                                .pass_authorization = program.app.pass_authorization,
                                .env = program.env};
  auto shared = std::shared_ptr<const AppProgram>(
      new AppProgram{.settings = program,
                     .server_name = server.server_name.empty() ? "localhost" : server.server_name,
                     .temporary_folder = temporary && *temporary ? temporary : "/tmp",
                     .environment = gateway::CgiEnvironment(std::move(settings)),
                     .pool = application->pool,
                     .status = application->status,
                     .error_lines = std::make_unique<ErrorLines>(program_log, program.name)});
  return AppModel{.handler = std::make_shared<AppHandler>(std::move(shared)), .status = application->status};
}

void Applications::retire_all_but(const config::Config& config) {
  for (auto at = applications_.begin(); at != applications_.end();) {
    const bool stays = std::ranges::any_of(config.programs, [&](const auto& program) {
      return program.model == config::Model::app && program.name == at->first;
    });
    if (stays) {
      ++at;
      continue;
    }
    log_.info("{}: not in the configuration any more; its instances end", at->first);
    auto pool = at->second->pool;
    const auto deadline = surroundings_.home.now() + at->second->program.app.drain;
    at = applications_.erase(at);
    ++ending_;
    pool->shutdown(deadline, [this, pool] { --ending_; });
  }
}

void Applications::changed(Application& application, const process::FolderWatch::Change& change) {
  if (!change.moved) {
    application.pool->restart(change.what + " has changed");
    return;
  }
  log_.info("{}: {} leads to {} now; its instances are replaced", application.program.name,
            application.program.app.root, change.root);
  application.root = change.root;
  application.launcher =
      std::make_shared<AppLauncher>(surroundings_, application.program, application.identity, application.root,
                                    application.folder, *application.program_log, application.tls);
  application.pool->configure(pool_settings(application.program), application.launcher,
                              fingerprint_of(application.program, application.root, application.folder));
}

void Applications::restart(const std::string& name, process::Pool::Done done) {
  const auto found = applications_.find(name);
  if (found == applications_.end())
    return done(fail(Code::not_found, "there is no application named '" + name + "' in the configuration"));
  found->second->pool->restart("asked for by fivefold restart", std::move(done));
}

void Applications::adopted(process::KeptProcess process, process::Spawner& spawner) {
  auto kept = kept_from_text(process.keep);
  if (!kept || handed_over_) return;  // letting go of it ends it
  const auto found = applications_.find(kept->program);
  if (found == applications_.end() || process.child->exit_status()) {
    log_.info("{}: an instance of an earlier server (pid {}) is ended: {}", kept->program, process.child->pid(),
              found == applications_.end() ? "the program is not configured any more" : "it has exited");
    return;
  }
  tasks_.start(take_over(found->second->launcher, std::move(*kept), std::move(process), spawner, found->second->pool));
}

net::Task<void> Applications::take_over(std::shared_ptr<AppLauncher> launcher, KeptInstance kept,
                                        process::KeptProcess process, process::Spawner& spawner,
                                        std::shared_ptr<process::Pool> pool) {
  const auto age = process.age;
  const auto pid = process.child->pid();
  auto launched = co_await launcher->adopt(kept, std::move(process), spawner);
  if (launched)
    pool->adopt(kept.id, std::move(*launched), kept.fingerprint, age);
  else
    log_.info("{}: instance {} of an earlier server (pid {}) is ended: {}", kept.program, kept.id, pid,
              launched.error().message);
}

void Applications::shutdown(net::TimePoint deadline, std::function<void()> done) {
  auto left = std::make_shared<std::size_t>(applications_.size() + 1);
  auto one_less = [left, done = std::move(done)] {
    if (--*left == 0) done();
  };
  for (auto& [name, application] : applications_) {
    application->watch.reset();
    application->pool->shutdown(deadline, one_less);
  }
  one_less();
}

void Applications::disown_all() {
  handed_over_ = true;
  for (auto& [name, application] : applications_) {
    application->watch.reset();
    application->pool->disown_all();
  }
}

}  // namespace fivefold::models::app
