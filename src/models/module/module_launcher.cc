#include "models/module/module_launcher.h"

#include "base/text.h"
#include "config/module_section.h"
#include "gateway/cgi_environment.h"
#include "process/user_home.h"

namespace fivefold::models::module {
namespace {

using config::Language;

// At home where its user is, as any process is.
void add_account(const config::Program& program, std::vector<std::pair<std::string, std::string>>& variables) {
  const auto user = process::home_of(program.user);
  variables.emplace_back("HOME", user.home);
  if (user.name.empty()) return;
  variables.emplace_back("USER", user.name);
  variables.emplace_back("LOGNAME", user.name);
}

void add_asgi(const config::Module& module, std::vector<std::string>& words) {
  const auto seconds = [](std::chrono::milliseconds time) { return std::to_string(time / std::chrono::seconds(1)); };
  if (module.lifespan != config::Lifespan::where_known)
    words.push_back(module.lifespan == config::Lifespan::on ? "lifespan=on" : "lifespan=off");
  words.push_back("websocket_max_size=" + std::to_string(module.websocket_max_size));
  words.push_back("websocket_ping_interval=" + seconds(module.websocket_ping_interval));
  words.push_back("websocket_ping_timeout=" + seconds(module.websocket_ping_timeout));
}

// The words of the worker's command line (workers/README.md).
std::vector<std::string> words_of(const config::Program& program, const std::string& root) {
  const auto& module = program.module;
  std::vector<std::string> words = {"program=" + program.name};
  const auto add = [&words](std::string_view key, const std::string& value) {
    if (!value.empty()) words.push_back(std::string(key) + "=" + value);
  };
  add("root", root);
  switch (module.language) {
    case Language::php:
      for (const auto& [name, value] : module.ini) add("ini", name + "=" + value);
      for (const auto& [name, value] : module.ini_admin) add("admin", name + "=" + value);
      break;
    case Language::perl:
      add("interface", module.psgi.empty() ? "cgi" : "psgi");
      add("psgi", module.psgi);
      for (const auto& folder : module.path) add("path", folder);
      break;
    case Language::python:
      add("interface", module.asgi.empty() ? "wsgi" : "asgi");
      add("wsgi", module.wsgi);
      add("asgi", module.asgi);
      if (module.threads > 1) add("threads", std::to_string(module.threads));
      if (module.loop != config::PythonLoop::any)
        add("loop", module.loop == config::PythonLoop::uvloop ? "uvloop" : "asyncio");
      if (!module.asgi.empty()) add_asgi(module, words);
      for (const auto& folder : module.path) add("path", folder);
      add("venv", module.venv);
      break;
  }
  for (const auto& file : module.preload) add("preload", file);
  add("worker", module.worker);
  if (module.slow_log > std::chrono::milliseconds::zero()) words.push_back("slow=yes");
  return words;
}

}  // namespace

ZygotePlan plan_zygote(const config::Program& program, std::uint32_t identity, const std::string& root,
                       const std::string& executable) {
  ZygotePlan plan{.start_timeout = program.module.start_timeout};
  plan.spawn.program = identity;
  plan.spawn.executable = executable;
  plan.spawn.directory = program.working_directory.empty() ? root : program.working_directory;
  if (plan.spawn.directory.empty()) plan.spawn.directory = "/";
  plan.spawn.arguments.add(executable);
  plan.command_line = executable;
  for (const auto& word : words_of(program, root)) {
    plan.spawn.arguments.add(word);
    plan.command_line += " " + printable(word, 400);
  }
  std::vector<std::pair<std::string, std::string>> variables = {{"PATH", std::string(gateway::kDefaultSearchPath)},
                                                                {"LANG", "C.UTF-8"}};
  add_account(program, variables);
  variables.emplace_back("FIVEFOLD_PROGRAM", program.name);
  for (const auto& [name, value] : program.env) {
    std::erase_if(variables, [&name](const auto& each) { return each.first == name; });
    variables.emplace_back(name, value);
  }
  for (const auto& [name, value] : variables) plan.spawn.environment.add(name, value);
  // Everything that two zygotes can differ in.
  plan.fingerprint = std::string(plan.spawn.arguments.bytes())
                         .append(plan.spawn.environment.bytes())
                         .append(plan.spawn.directory + '\0' + program.user + '\0' + program.group);
  for (const auto limit : {program.limits.memory, program.limits.cpu_seconds, program.limits.files,
                           program.limits.processes, program.limits.file_size, program.limits.core})
    plan.fingerprint += std::to_string(limit) + ",";
  return plan;
}

ModuleLauncher::ModuleLauncher(ModuleSurroundings& surroundings, std::shared_ptr<Zygotes> zygotes, ZygotePlan plan,
                               std::size_t head_limit)
    : surroundings_(surroundings), zygotes_(std::move(zygotes)), plan_(std::move(plan)), head_limit_(head_limit) {}

net::Task<Result<process::Launched>> ModuleLauncher::launch(std::uint32_t id,
                                                            std::shared_ptr<process::Journey> journey) {
  const auto zygotes = zygotes_;
  ModuleSurroundings& surroundings = surroundings_;
  const auto head_limit = head_limit_;
  auto zygote = co_await zygotes->get(plan_, *surroundings.spawners[id % surroundings.spawners.size()], journey);
  if (!zygote) {
    if (journey->failure().empty()) journey->failed(zygote.error().message);
    co_return std::unexpected(std::move(zygote.error()));
  }
  auto worker = co_await (*zygote)->fork(id, static_cast<unsigned>(surroundings.loops.size()));
  if (worker && worker->channels.size() != surroundings.loops.size())
    worker = fail(Code::program_failed, "the zygote gave the worker another number of channels than it was asked for");
  if (!worker) {
    journey->failed(worker.error().message, "Look at the program's `limits.processes` and `limits.memory`.");
    co_return std::unexpected(std::move(worker.error()));
  }
  journey->step("forked", surroundings.home.now(), "pid " + std::to_string(worker->child->pid()));
  auto address = std::make_shared<WorkerAddress>(std::move(worker->channels), std::move(worker->claims),
                                                 surroundings.loops, head_limit);
  auto process = std::make_unique<WorkerProcess>(std::move(worker->child), address);
  co_return process::Launched{std::move(process), std::move(address)};
}

}  // namespace fivefold::models::module
