#include "models/app/outgoing.h"

#include <gtest/gtest.h>

#include "http/target.h"

namespace fivefold::models::app {
namespace {

class NoExchange final : public exchange::Exchange {
 public:
  explicit NoExchange(exchange::World& world) : Exchange(world) { id.hex.fill('a'); }
  net::Task<Result<exchange::Response>> redirect_locally(std::string) override { co_return exchange::Response{}; }
};

class NoSpawner final : public process::Spawner {
  net::Task<Result<std::unique_ptr<process::Child>>> spawn(process::SpawnPlan) override {
    co_return fail(Code::program_unavailable, "nothing is started here");
  }
};

// A request as the server would hand it on.
struct Rig {
  // `routed_path` is the path of the text unless it is given.
  explicit Rig(std::string text, std::string prefix = "/", std::string routed_path = "")
      : bytes(std::move(text)), path(std::move(routed_path)) {
    http::HeadParser parser({});
    EXPECT_GT(parser.parse(bytes, head)->consumed, 0u);
    if (path.empty()) {
      EXPECT_TRUE(http::normalize_path(head.raw_path, path));
    }
    exchange.route_prefix = std::string_view(path).substr(0, prefix.size());
    exchange.route_rest = std::string_view(path).substr(prefix.size());
    peer.address = "192.0.2.7";
    peer.local_port = 8080;
  }
  upstream::OutgoingHead out() {
    return outgoing_head(program, exchange::Request{.head = head, .path = path, .body = {}, .peer = peer}, exchange);
  }
  std::string target(bool strip = false) {
    return outgoing_target(exchange::Request{.head = head, .path = path, .body = {}, .peer = peer}, exchange, strip);
  }

  std::string bytes;
  http::Head head;
  std::string path;
  exchange::Peer peer;
  net::Loop loop{0};
  net::BlockingPool blocking{1};
  NoSpawner spawner;
  exchange::World world{loop, blocking, spawner};
  NoExchange exchange{world};
  AppProgram program{.settings = {},
                     .server_name = "machine",
                     .temporary_folder = "/tmp",
                     .environment = gateway::CgiEnvironment({}),
                     .pool = {},
                     .status = {},
                     .error_lines = {}};
};

TEST(Outgoing, TheServerVouchesForTheClient) {
  Rig rig(
      "GET / HTTP/1.1\r\nHost: example.org\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n"
      "Forwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-Anything: x\r\nX-Request-Id: mine\r\n\r\n");
  const auto out = rig.out();
  EXPECT_EQ(out.fields.get("Host"), "example.org");
  EXPECT_EQ(out.fields.get("X-Forwarded-For"), "192.0.2.7");
  EXPECT_EQ(out.fields.get("X-Forwarded-Proto"), "http");
  EXPECT_EQ(out.fields.get("X-Forwarded-Host"), "example.org");
  EXPECT_EQ(out.fields.get("X-Forwarded-Port"), "8080");
  EXPECT_EQ(out.fields.get("X-Real-IP"), "192.0.2.7");
  EXPECT_EQ(out.fields.get("Forwarded"), "for=192.0.2.7;host=\"example.org\";proto=http");
  EXPECT_EQ(out.fields.get("X-Request-Id"), std::string(32, 'a'));
  EXPECT_EQ(out.fields.wire().find("6.6.6.6"), std::string::npos);
  EXPECT_FALSE(out.fields.has("X-Forwarded-Anything"));
}

TEST(Outgoing, WhatBelongsToTheConnectionStaysHere) {
  Rig rig(
      "POST / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Private, Host, X-Forwarded-For\r\nX-Private: 1\r\n"
      "Keep-Alive: 5\r\nTE: trailers\r\nTrailer: X\r\nProxy-Connection: close\r\nProxy: http://evil\r\n"
      "Proxy-Authorization: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\nFoo_Bar: 1\r\nX-End: yes\r\n\r\n");
  const auto out = rig.out();
  for (const auto* name : {"Connection", "X-Private", "Keep-Alive", "TE", "Trailer", "Proxy-Connection", "Proxy",
                           "Proxy-Authorization", "Content-Length", "Expect", "Foo_Bar"})
    EXPECT_FALSE(out.fields.has(name)) << name;
  EXPECT_EQ(out.fields.get("X-End"), "yes");
  EXPECT_EQ(out.fields.get("Host"), "a");
  EXPECT_EQ(out.fields.get("X-Forwarded-For"), "192.0.2.7");  // CVE-2022-31813
}

TEST(Outgoing, EncodedSlashesGoOnAsTheyWereWritten) {
  const auto below = [](const std::string& raw) {
    Rig rig("GET " + raw + " HTTP/1.1\r\nHost: a\r\n\r\n", "/app/", "/app/");
    return rig.target(true);
  };
  EXPECT_EQ(Rig("GET /@scope%2fname?x HTTP/1.1\r\nHost: a\r\n\r\n", "/", "/@scope/name").target(), "/@scope%2fname?x");
  EXPECT_EQ(below("/app/@scope%2Fname"), "/@scope%2Fname");
  EXPECT_EQ(below("/%61pp/@scope%2Fname%20x"), "/@scope%2Fname%20x");
  EXPECT_EQ(below("//a%70p//@scope%2Fname"), "/@scope%2Fname");
  EXPECT_EQ(below("/%61pp/"), "/");
}

TEST(Outgoing, OnlyWhatTheConfigurationNamesIsTold) {
  Rig rig(
      "GET / HTTP/1.1\r\nHost: a\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n");
  const auto told = [&](std::uint8_t forward) {
    rig.program.settings.app.forward = forward;
    return rig.out().fields.wire();
  };
  EXPECT_EQ(told(0), "Host: a\r\n");  // the client's own are no better than before
  EXPECT_EQ(told(config::kForwardRealIp), "Host: a\r\nX-Real-IP: 192.0.2.7\r\n");
  EXPECT_EQ(told(config::kForwardX),
            "Host: a\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n"
            "X-Forwarded-Port: 8080\r\n");
}

TEST(Outgoing, AuthorizationGoesOnUnlessWithheld) {
  Rig rig("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic x\r\n\r\n");
  EXPECT_TRUE(rig.out().fields.has("Authorization"));
  rig.program.settings.app.pass_authorization = false;
  EXPECT_FALSE(rig.out().fields.has("Authorization"));
}

TEST(Outgoing, AnUpgradeIsAskedForOnceItMayBe) {
  Rig websocket(
      "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n");
  EXPECT_EQ(websocket.out().upgrade, "websocket");
  EXPECT_TRUE(websocket.out().fields.has("Sec-WebSocket-Key"));
  EXPECT_FALSE(websocket.out().fields.has("Upgrade"));
  Rig h2c(
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n");
  EXPECT_EQ(h2c.out().upgrade, "");
  EXPECT_FALSE(h2c.out().fields.has("HTTP2-Settings"));
}

TEST(Outgoing, ThePathGoesOnAsItWasWritten) {
  EXPECT_EQ(Rig("GET /a%20b/c+d?x=%2F HTTP/1.1\r\nHost: a\r\n\r\n").target(), "/a%20b/c+d?x=%2F");
  EXPECT_EQ(Rig("GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n").target(), "/b?c");
  EXPECT_EQ(Rig("GET /a? HTTP/1.1\r\nHost: a\r\n\r\n").target(), "/a?");
}

TEST(Outgoing, DotSegmentsAreResolvedAsRoutingHasResolvedThem) {
  for (const std::string path : {"/public/../admin", "/public/%2e%2e/admin", "/public/.%2E/admin", "/./admin"})
    EXPECT_EQ(Rig("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n").target(), "/admin") << path;
  EXPECT_EQ(Rig("GET /a/.well-known/..x HTTP/1.1\r\nHost: a\r\n\r\n").target(), "/a/.well-known/..x");
}

TEST(Outgoing, ThePrefixIsTakenAwayOnRequest) {
  Rig rig("GET /app/x%20y?z HTTP/1.1\r\nHost: a\r\n\r\n", "/app/");
  EXPECT_EQ(rig.target(true), "/x%20y?z");
  EXPECT_EQ(rig.target(false), "/app/x%20y?z");
  rig.program.settings.app.strip_prefix = true;
  EXPECT_EQ(rig.out().fields.get("X-Forwarded-Prefix"), "/app");
  EXPECT_EQ(Rig("GET /app/ HTTP/1.1\r\nHost: a\r\n\r\n", "/app/").target(true), "/");
  EXPECT_EQ(Rig("GET /%61pp/x HTTP/1.1\r\nHost: a\r\n\r\n", "/app/").target(true), "/x");
}

TEST(Outgoing, FindsACookieAmongOthers) {
  Rig rig("GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1; node=12;b=3\r\nCookie: c=4\r\n\r\n");
  EXPECT_EQ(cookie_value(rig.head, "node"), "12");
  EXPECT_EQ(cookie_value(rig.head, "c"), "4");
  EXPECT_EQ(cookie_value(rig.head, "od"), "");
  EXPECT_EQ(cookie_value(rig.head, "nod"), "");
}

}  // namespace
}  // namespace fivefold::models::app
