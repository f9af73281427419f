#include <unistd.h>

#include <ctime>

#include "control/paths.h"
#include "control/status.h"

namespace fivefold::control {
namespace {

nlohmann::json program_json(const exchange::ProgramStatus& program, const config::Server& server) {
  auto processes = nlohmann::json::array();
  std::uint64_t memory = 0;
  for (const auto& process : program.processes) {
    const auto own = memory_of(process.pid);
    memory += own;
    processes.push_back({{"pid", process.pid},
                         {"state", process.state},
                         {"reason", process.reason},
                         {"requests", process.requests},
                         {"active", process.active},
                         {"request_age_ms", process.request_age.count()},
                         {"what", process.what},
                         {"age_ms", process.age.count()},
                         {"memory", own},
                         {"request_id", process.request_id}});
  }
  return {{"name", program.name},
          {"model", program.model},
          {"requests", program.requests},
          {"failures", program.failures},
          {"running", program.running},
          {"waiting", program.waiting},
          {"memory", memory},
          {"processes", std::move(processes)},
          {"starts", program.starts},
          {"failed_starts", program.failed_starts},
          {"crashes", program.crashes},
          {"queue_full", program.queue_full},
          {"queue_timeouts", program.queue_timeouts},
          {"last_failure", program.last_failure},
          {"last_failure_at", program.last_failure_at},
          {"log", program_log_path(server, program.name)}};
}

}  // namespace

nlohmann::json status_json(const ServerView& view) {
  const auto now = static_cast<std::int64_t>(::time(nullptr));
  nlohmann::json status = {{"version", FIVEFOLD_VERSION},
                           {"pid", ::getpid()},
                           {"keeper_pid", view.keeper_pid},
                           {"user", view.user},
                           {"started", view.started},
                           {"server_started", view.server_started},
                           {"uptime", now - view.started},
                           {"generation", view.generation},
                           {"crashes", view.crashes},
                           {"last_crash", view.last_crash},
                           {"reloads", view.reloads.load()},
                           {"configured_at", view.configured_at.load()},
                           {"control", view.control_path},
                           {"memory", memory_of(::getpid())},
                           {"descriptors", {{"open", open_descriptors()}, {"limit", descriptor_limit()}}}};
  const auto* http = view.http.load();
  if (!http) return status;
  const auto site = http->site();
  const auto& config = site->config();
  const auto sum = totals(*http);
  status["config"] = config.file;
  status["threads"] = http->counters().size();
  status["listeners"] = http->listeners();
  status["connections"] = {{"open", sum.connections_open},
                           {"idle", sum.connections_idle},
                           {"accepted", sum.connections_accepted},
                           {"limit", config.server.limits.connections}};
  status["requests"] = {{"total", sum.requests},     {"active", sum.requests_active},
                        {"1xx", sum.responses[1]},   {"2xx", sum.responses[2]},
                        {"3xx", sum.responses[3]},   {"4xx", sum.responses[4]},
                        {"5xx", sum.responses[5]},   {"malformed", sum.refused},
                        {"timed_out", sum.timeouts}, {"duration_us", sum.duration_sum_us}};
  status["bytes"] = {{"received", sum.bytes_received}, {"sent", sum.bytes_sent}};
  status["routes"] = config.routes.size();
  status["logs"] = {{"server", config.server.log}, {"access", config.server.access_log}};
  auto programs = nlohmann::json::array();
  for (const auto& program : site->program_status()) programs.push_back(program_json(program, config.server));
  status["programs"] = std::move(programs);
  return status;
}

}  // namespace fivefold::control
