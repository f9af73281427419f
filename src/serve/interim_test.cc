// Interim responses: in front of the final one, whole, in order, and never in anything's middle.
#include "serve/session_rig_test.h"

namespace fivefold::serve {
namespace {

http::Headers link(std::size_t size = 0) {
  http::Headers headers;
  headers.add("Link", "</style.css>; rel=preload" + (size == 0 ? "" : "; x=" + std::string(size, 'x')));
  return headers;
}

// Goes on sending hints beside the body; then says "late".
class HintingBody final : public exchange::BodySource {
 public:
  explicit HintingBody(exchange::Exchange& exchange) : exchange_(exchange) {}
  net::Task<Result<exchange::Chunk>> next() override {
    co_await net::sleep_until(exchange_.world.loop, exchange_.world.loop.now() + milliseconds(60));
    co_await exchange_.send_interim(103, link());
    co_return std::exchange(said_, true) ? exchange::Chunk() : exchange::Chunk("late");
  }

 private:
  exchange::Exchange& exchange_;
  bool said_ = false;
};

class Hinter final : public exchange::Handler {
 public:
  net::Task<Result<exchange::Response>> handle(exchange::Request request, exchange::Exchange& exchange) override {
    exchange::Response response;
    if (request.path == "/refused") {
      for (const int status : {99, 100, 101, 200, 500}) co_await exchange.send_interim(status, link());
    } else if (request.path == "/large") {
      for (int i = 0; i < 50; ++i) co_await exchange.send_interim(103, link(60'000));
    } else if (request.path == "/late") {
      response.body = exchange::Body::stream(std::make_unique<HintingBody>(exchange));
      co_return response;
    } else {
      auto headers = link();
      headers.add("Content-Length", "5");
      headers.add("Transfer-Encoding", "chunked");
      co_await exchange.send_interim(103, std::move(headers));
    }
    if (request.path == "/wait")
      co_await net::sleep_until(exchange.world.loop, exchange.world.loop.now() + milliseconds(150));
    if (request.path == "/body") {
      auto body = co_await exchange::read_all(request.body, 100);
      if (!body) co_return std::unexpected(std::move(body.error()));
      co_await exchange.send_interim(103, link());
    }
    response.body = exchange::Body::text("final");
    co_return response;
  }
};

class InterimTest : public SessionFixture {
 protected:
  std::shared_ptr<exchange::Handler> make_handler() override { return std::make_shared<Hinter>(); }
};

constexpr std::string_view kHint = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";

TEST_F(InterimTest, GoesOutBeforeTheResponseIsThere) {
  connect();
  send("GET /wait"s + std::string(kClose));
  EXPECT_EQ(receive("\r\n\r\n"), kHint);
  EXPECT_TRUE(receive().ends_with("\r\n\r\nfinal"));
}

TEST_F(InterimTest, NotToHttp10) {
  const auto answer = exchange_once("GET /wait HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
}

TEST_F(InterimTest, OnlyWhatIsInterim) {
  const auto answer = exchange_once("GET /refused"s + std::string(kClose));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
}

TEST_F(InterimTest, NeverBehindTheFinalHead) {
  const auto answer = exchange_once("GET /late"s + std::string(kClose));
  EXPECT_FALSE(contains(answer, "103")) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\n4\r\nlate\r\n0\r\n\r\n")) << answer;
}

TEST_F(InterimTest, InOrderWithContinue) {
  connect();
  send("POST /body HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  const std::string continued = "HTTP/1.1 100 Continue\r\n\r\n";
  EXPECT_EQ(receive(continued), std::string(kHint) + continued);
  send("ok");
  const auto rest = receive();
  EXPECT_TRUE(rest.starts_with(std::string(kHint) + "HTTP/1.1 200 OK\r\n")) << rest;
}

TEST_F(InterimTest, WhatTheClientDoesNotTakeIsLeftOutAndNothingIsTorn) {
  connect();
  send("GET /large"s + std::string(kClose));
  // Nothing is read until everything has been sent that could be.
  ASSERT_TRUE(eventually([this] { return counters_.requests == 1; }));
  std::this_thread::sleep_for(milliseconds(100));
  auto all = receive();
  const std::string hint =
      "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; x=" + std::string(60'000, 'x') + "\r\n\r\n";
  std::size_t hints = 0;
  while (all.starts_with(hint)) {
    all.erase(0, hint.size());
    ++hints;
  }
  EXPECT_GT(hints, 0U);
  EXPECT_LT(hints, 50U);
  EXPECT_TRUE(all.starts_with("HTTP/1.1 200 OK\r\n")) << all.substr(0, 200);
  EXPECT_TRUE(all.ends_with("\r\n\r\nfinal"));
}

}  // namespace
}  // namespace fivefold::serve
