#include "models/module/modules.h"

#include <stdlib.h>

#include <algorithm>

#include "config/module_section.h"
#include "gateway/worker_protocol.h"
#include "models/module/module_handler.h"
#include "models/module/slow_requests.h"
#include "models/module/worker_line.h"
#include "process/folder_watch.h"

namespace fivefold::models::module {

struct Modules::Running {
  config::Program program;
  std::uint32_t identity = 0;
  std::string root;  // links resolved
  std::shared_ptr<process::Pool> pool;
  std::shared_ptr<process::PoolStatus> status;
  std::shared_ptr<Zygotes> zygotes;
  std::unique_ptr<process::FolderWatch> watch;
  std::unique_ptr<SlowRequests> slow;
};

namespace {

process::PoolSettings pool_settings(const config::Program& program) {
  const auto& module = program.module;
  return {.min_instances = module.min_instances,
          .max_instances = module.max_instances,
          .idle_timeout = module.instance_idle_timeout,
          .concurrency = config::requests_at_once(module),
          .most_recent = true,
          .queue = program.queue,
          .queue_timeout = program.queue_timeout,
          .max_requests = program.max_requests,
          .max_memory = module.max_memory,
          .max_age = module.max_age,
          .drain = module.drain,
          .stop_grace = module.stop_grace,
          .start_retries = module.start_retries,
          .eject_failures = 0,  // what a script does is no fault of its worker's
          .requests_crash = true,
          .start_failure_status = gateway::worker::kExitStart};
}

std::vector<std::shared_ptr<WorkerLine>> lines_for(std::span<net::Loop* const> loops) {
  std::vector<std::shared_ptr<WorkerLine>> lines;
  for (net::Loop* loop : loops) lines.push_back(std::make_shared<WorkerLine>(*loop));
  return lines;
}

}  // namespace

Modules::Modules(ModuleSurroundings surroundings, net::BlockingPool& blocking, Log& log, WorkerExecutables executables)
    : surroundings_(std::move(surroundings)), blocking_(blocking), log_(log), executables_(std::move(executables)) {}

Modules::~Modules() = default;

Result<ModuleModel> Modules::configure(const config::Program& program, const config::Server& server,
                                       std::uint32_t identity, std::shared_ptr<exchange::Handler> files,
                                       std::string document_root, LineFile& program_log) {
  if (executables_(program.module.language).empty())
    return fail(Code::internal,
                "the worker for " + std::string(config::written_name(program.module.language)) + " is not installed");
  auto& running = programs_[program.name];
  if (!running) {
    running = std::make_unique<Running>();
    running->pool = std::make_shared<process::Pool>(program.name, surroundings_.home, log_);
    running->status = std::make_shared<process::PoolStatus>(program.name, program.module.application ? "app" : "module",
                                                            "worker", running->pool);
    running->slow = std::make_unique<SlowRequests>(surroundings_.home, log_, program.name, running->pool);
    running->zygotes =
        std::make_shared<Zygotes>(surroundings_.home, program_log, program.name,
                                  [this, name = program.name](const std::string& how) { zygote_died(name, how); });
  }
  const bool watch_differs =
      running->program.module.root != program.module.root || running->program.watch != program.watch || !running->watch;
  running->program = program;
  running->identity = identity;
  running->root = program.module.root.empty() ? std::string() : process::resolved(program.module.root);
  launch_by(*running);
  running->slow->set_limit(program.module.slow_log);
  if (watch_differs) {
    running->watch.reset();
    running->watch = std::make_unique<process::FolderWatch>(
        surroundings_.home, blocking_, program.module.root, program.watch,
        [this, name = program.name](const process::FolderWatch::Change& change) {
          const auto found = programs_.find(name);
          if (found != programs_.end()) changed(*found->second, change.what, change.moved ? change.root : "");
        });
  }

  const char* temporary = ::secure_getenv("TMPDIR");
  const std::string server_name = server.server_name.empty() ? "localhost" : server.server_name;
  auto shared = std::shared_ptr<const ModuleProgram>(
      new ModuleProgram{.settings = program,
                        .temporary_folder = temporary && *temporary ? temporary : "/tmp",
                        .environment = gateway::CgiEnvironment({.server_name = server_name,
                                                                .document_root = std::move(document_root),
                                                                .pass_authorization = program.module.pass_authorization,
                                                                .env = program.env,
                                                                .search_path = false}),
                        .scripts = ScriptSelection(program.module),
                        .files = std::move(files),
                        .pool = running->pool,
                        .status = running->status,
                        .lines = lines_for(surroundings_.loops),
                        .log = program_log});
  return ModuleModel{.handler = std::make_shared<ModuleHandler>(std::move(shared)), .status = running->status};
}

// The pool starts workers as the program is now; those of another kind are replaced.
void Modules::launch_by(Running& running) {
  auto plan =
      plan_zygote(running.program, running.identity, running.root, executables_(running.program.module.language));
  const auto fingerprint = plan.fingerprint;
  running.pool->configure(pool_settings(running.program),
                          std::make_shared<ModuleLauncher>(surroundings_, running.zygotes, std::move(plan),
                                                           running.program.module.output_head),
                          fingerprint);
}

void Modules::changed(Running& running, const std::string& what, const std::string& root) {
  running.zygotes->renew();
  if (root.empty()) return running.pool->restart(what + " has changed");
  log_.info("{}: {} leads to {} now; its workers are replaced", running.program.name, running.program.module.root,
            root);
  running.root = root;
  launch_by(running);
}

// Its workers finish what they do; others take their places one by one.
void Modules::zygote_died(const std::string& name, const std::string& how) {
  const auto found = programs_.find(name);
  if (found == programs_.end()) return;
  log_.error("{}: the zygote {}; its workers are replaced", name, how);
  found->second->pool->restart("their zygote " + how);
}

void Modules::retire_all_but(const config::Config& config) {
  for (auto at = programs_.begin(); at != programs_.end();) {
    const bool stays = std::ranges::any_of(config.programs, [&](const auto& program) {
      return program.model == config::Model::module && program.name == at->first;
    });
    if (stays) {
      ++at;
      continue;
    }
    log_.info("{}: not in the configuration any more; its workers end", at->first);
    auto pool = at->second->pool;
    const auto deadline = surroundings_.home.now() + at->second->program.module.drain;
    at = programs_.erase(at);
    ++ending_;
    pool->shutdown(deadline, [this, pool] { --ending_; });
  }
}

void Modules::restart(const std::string& name, process::Pool::Done done) {
  const auto found = programs_.find(name);
  if (found == programs_.end())
    return done(fail(Code::not_found, "there is no such program in the configuration: " + name));
  found->second->zygotes->renew();
  found->second->pool->restart("asked for by fivefold restart", std::move(done));
}

void Modules::shutdown(net::TimePoint deadline, std::function<void()> done) {
  auto left = std::make_shared<std::size_t>(programs_.size() + 1);
  auto one_less = [left, done = std::move(done)] {
    if (--*left == 0) done();
  };
  for (auto& [name, running] : programs_) {
    running->watch.reset();
    running->pool->shutdown(deadline, one_less);
  }
  one_less();
}

void Modules::hand_over() {
  for (auto& [name, running] : programs_) running->watch.reset();
}

}  // namespace fivefold::models::module
