#include "serve/resolve.h"

#include <gtest/gtest.h>

#include "process/child.h"

namespace fivefold::serve {
namespace {

class NoSpawner final : public process::Spawner {
  net::Task<Result<std::unique_ptr<process::Child>>> spawn(process::SpawnPlan) override {
    co_return fail(Code::program_unavailable, "nothing is started here");
  }
};

class NoExchange final : public exchange::Exchange {
 public:
  using Exchange::Exchange;
  net::Task<Result<exchange::Response>> redirect_locally(std::string) override { co_return exchange::Response{}; }
};

class Nothing final : public exchange::Handler {
 public:
  net::Task<Result<exchange::Response>> handle(exchange::Request, exchange::Exchange&) override {
    co_return exchange::Response{};
  }
};

// Routes of a site with an application, php-fpm's kind of application, CGI programs and files.
class EncodedSlashes : public ::testing::Test {
 protected:
  void route(std::string path, config::Action action, std::string run = {}) {
    config::Route made;
    made.path = std::move(path);
    made.action = action;
    made.run = std::move(run);
    config_.routes.push_back(std::move(made));
  }

  // The pattern of the route that the path takes and, after a blank, what of the path is below its prefix; or the
  // status.
  std::string taken(std::string_view raw) {
    for (const auto* name : {"api", "php", "scripts"}) {
      config::Program program;
      program.name = name;
      program.model = name == std::string("scripts") ? config::Model::cgi : config::Model::app;
      if (name == std::string("php")) program.app.extensions = {".php"};
      config_.programs.push_back(std::move(program));
    }
    Handlers handlers;
    handlers.programs.assign(3, std::make_shared<Nothing>());
    handlers.routes.assign(config_.routes.size(), std::make_shared<Nothing>());
    const Site site(std::make_shared<config::Config>(config_), std::move(handlers));
    const std::string bytes = "GET " + std::string(raw) + " HTTP/1.1\r\nHost: a\r\n\r\n";
    http::HeadParser parser({});
    http::Head head;
    EXPECT_TRUE(parser.parse(bytes, head));
    std::string path;
    const auto resolution = resolve(site, head, path, exchange_);
    if (!resolution) return resolution.error().code == Code::not_found ? "404" : "400";
    if (resolution->ready) return std::to_string(resolution->ready->status);
    return resolution->route->path + " " + std::string(exchange_.route_rest);
  }

  config::Config config_;
  net::Loop loop_{0};
  net::BlockingPool blocking_{1};
  NoSpawner spawner_;
  exchange::World world_{loop_, blocking_, spawner_};
  NoExchange exchange_{world_};
};

TEST_F(EncodedSlashes, GoToApplicationsAlone) {
  route("/php/*", config::Action::run, "php");
  route("/cgi/*", config::Action::run, "scripts");
  route("/www/*", config::Action::files);
  route("/old/*", config::Action::redirect);
  route("/*", config::Action::run, "api");
  EXPECT_EQ(taken("/@scope%2Fname"), "/* @scope/name");
  EXPECT_EQ(taken("/a%2f%2fb"), "/* a/b");
  for (const auto* path : {"/php/a%2Fb.php", "/php/a.php%2Fb", "/cgi/a%2Fb", "/www/a%2Fb", "/old/a%2Fb"})
    EXPECT_EQ(taken(path), "404") << path;
}

TEST_F(EncodedSlashes, PassNoOtherRouteBy) {
  route("/api/secret/*", config::Action::deny);
  route("/api/v1/*", config::Action::run, "scripts");
  route("/api/*", config::Action::run, "api");
  route("*.php", config::Action::deny);
  route("/exact/name", config::Action::run, "api");
  route("/up/*", config::Action::run, "api");
  EXPECT_EQ(taken("/api/x%2Fy"), "/api/* x/y");
  EXPECT_EQ(taken("/api/v2/x%2Fy"), "/api/* v2/x/y");
  for (const auto* path : {
           "/api/secret%2Fx",
           "/api%2Fsecret/x",
           "/api%2Fx",
           "/api/secret/x%2Fy",  // another rule's, read as '/'
           "/api/v1%2Fx",
           "/up/x.php%2Fy",
           "/up%2Fx",        //
           "/exact%2Fname",  // nobody's, read as a name
           "/up/..%2Fapi/x",
           "/api/x%2F..%2F..%2Fup/x",
           "/api/x%2F..%2Fy",
           "/up/.%2Fx",  // out and in again
           "/api/../api/x%2Fy",
           "/up/%2e%2e%2Fapi%2Fx",
           "/..%2Fapi/x",
           "/api%2F..%2F..%2F..%2Fx",
       })
    EXPECT_EQ(taken(path), "404") << path;
  EXPECT_EQ(taken("/api/x%2Fy%00"), "404");
}

}  // namespace
}  // namespace fivefold::serve
