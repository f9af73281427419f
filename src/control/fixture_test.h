#pragma once
// A server of one loop with one route and one program that only has a status, for tests of what is told about it.
#include <spdlog/sinks/null_sink.h>

#include <memory>

#include "process/child.h"
#include "serve/http_server.h"

namespace fivefold::control {

class NoSpawner : public process::Spawner {
 public:
  net::Task<Result<std::unique_ptr<process::Child>>> spawn(process::SpawnPlan) override {
    co_return fail(Code::program_unavailable, "there is none", "1");
  }
};

class FixedStatus : public exchange::StatusSource {
 public:
  exchange::ProgramStatus status() const override {
    exchange::ProgramStatus status;
    status.name = "scripts";
    status.model = "cgi";
    status.requests = 7;
    status.failures = 2;
    status.running = 1;
    status.processes.push_back(
        {.pid = ::getpid(), .what = "/srv/hello.pl", .age = std::chrono::milliseconds(1500), .request_id = "0af3"});
    return status;
  }
};

class NoHandler : public exchange::Handler {
 public:
  net::Task<Result<exchange::Response>> handle(exchange::Request, exchange::Exchange&) override {
    co_return exchange::Response{};
  }
};

struct TestServer {
  net::Loop loop{0};
  net::BlockingPool blocking{1};
  NoSpawner spawner;
  exchange::World world{loop, blocking, spawner};
  Log log{"test", std::make_shared<spdlog::sinks::null_sink_mt>()};
  std::unique_ptr<serve::HttpServer> http;

  TestServer() {
    auto config = std::make_shared<config::Config>();
    config->file = "/srv/fivefold.toml";
    config->programs.emplace_back().name = "scripts";
    config->server.program_logs = "/var/log/programs";
    auto& route = config->routes.emplace_back();
    route.action = config::Action::run;
    route.run = "scripts";
    serve::Handlers handlers;
    handlers.programs.push_back(std::make_shared<NoHandler>());
    handlers.program_status.push_back(std::make_shared<FixedStatus>());
    handlers.routes.push_back(nullptr);
    handlers.filters.emplace_back();
    auto site = std::make_shared<const serve::Site>(std::move(config), std::move(handlers));
    http = std::make_unique<serve::HttpServer>(std::vector<exchange::World*>{&world}, log, nullptr, std::move(site));
  }
};

}  // namespace fivefold::control
