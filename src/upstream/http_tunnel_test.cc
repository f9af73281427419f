// Connections that an application has upgraded.
#include "upstream/http_rig_test.h"

namespace fivefold::upstream {
namespace {

using Tunnel = HttpCallTest;

constexpr std::string_view kSwitched =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";

net::Task<void> read_until_end(exchange::Tunnel& tunnel, std::string& seen, std::optional<Error>& error) {
  while (true) {
    auto bytes = co_await tunnel.next();
    if (!bytes) error = std::move(bytes.error());
    if (!bytes || bytes->empty()) co_return;
    seen += *bytes;
  }
}

net::Task<void> send_some(exchange::Tunnel& tunnel, std::string bytes, int times, Result<void>& result) {
  for (int i = 0; i < times; ++i) {
    result = co_await tunnel.send(bytes);
    if (!result) co_return;
  }
  tunnel.finish_sending();
}

TEST_F(Tunnel, BytesGoBothWaysAndEachSideEndsByItself) {
  std::string seen;
  serve([&seen](AppSide& app) {
    const auto head = app.read_head();
    EXPECT_THAT(head, HasSubstr("Connection: Upgrade\r\nUpgrade: websocket\r\n"));
    app.send(std::string(kSwitched) + "first");  // behind the head in one piece
    seen = app.read_to_end();                    // the caller has ended its side
    app.send(" and last");
  });
  const auto outcome = ask({.upgrade = "websocket"});
  ASSERT_FALSE(outcome.failure) << outcome.failure->error.message;
  EXPECT_EQ(outcome.status, 101);
  EXPECT_EQ(outcome.fields, "Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n");
  ASSERT_NE(outcome.tunnel, nullptr);
  EXPECT_EQ(outcome.tunnel->idle_timeout(), timeouts_.tunnel);
  EXPECT_EQ(owner_.gone, 0);
  std::string received;
  std::optional<Error> error;
  Result<void> sent;
  run(send_some(*outcome.tunnel, "question", 2, sent));
  run(read_until_end(*outcome.tunnel, received, error));
  EXPECT_TRUE(sent);
  EXPECT_FALSE(error);
  EXPECT_EQ(received, "first and last");
  application_->stop();
  EXPECT_EQ(seen, "questionquestion");
}

TEST_F(Tunnel, TheApplicationEndsItsSideAndGoesOnReading) {
  std::string seen;
  serve([&seen](AppSide& app) {
    app.read_head();
    app.send(std::string(kSwitched) + "bye");
    app.shutdown_write();
    seen = app.read_to_end();
  });
  const auto outcome = ask({.upgrade = "websocket"});
  std::string received;
  std::optional<Error> error;
  Result<void> sent;
  run(read_until_end(*outcome.tunnel, received, error));
  run(send_some(*outcome.tunnel, "still here", 1, sent));
  EXPECT_EQ(received, "bye");
  EXPECT_TRUE(sent);
  application_->stop();
  EXPECT_EQ(seen, "still here");
}

net::Task<void> both(exchange::Tunnel& tunnel, std::string& seen, std::optional<Error>& error, Result<void>& sent) {
  net::Running sending(send_some(tunnel, std::string(100'000, 's'), 50, sent));
  co_await read_until_end(tunnel, seen, error);
}

TEST_F(Tunnel, MuchBothWaysAtOnce) {
  serve([](AppSide& app) {
    app.read_head();
    app.send(kSwitched);
    for (std::size_t left = 5'000'000; left > 0;) {
      const auto bytes = app.read(std::min<std::size_t>(left, 10'000));
      if (bytes.empty() || !app.send(bytes)) return;
      left -= bytes.size();
    }
  });
  const auto outcome = ask({.upgrade = "websocket"});
  std::string seen;
  std::optional<Error> error;
  Result<void> sent;
  run(both(*outcome.tunnel, seen, error, sent));
  EXPECT_EQ(seen.size(), 5'000'000u);
  EXPECT_TRUE(sent);
}

TEST_F(Tunnel, LettingGoClosesTheApplicationsSideAndTheOwner) {
  std::atomic<bool> ended = false;
  serve([&ended](AppSide& app) {
    app.read_head();
    app.send(kSwitched);
    ended = app.at_end();
  });
  auto outcome = ask({.upgrade = "websocket"});
  EXPECT_EQ(owner_.gone, 0);
  outcome.tunnel.reset();
  EXPECT_EQ(owner_.gone, 1);
  application_->stop();
  EXPECT_TRUE(ended);
  EXPECT_EQ(home_->idle(), 0u);
}

TEST_F(Tunnel, AnApplicationMayDecline) {
  answer_all(ok_with("no"));
  const auto outcome = ask({.upgrade = "websocket"});
  EXPECT_EQ(outcome.status, 200);
  EXPECT_EQ(outcome.body, "no");
  EXPECT_EQ(home_->idle(), 1u);
}

TEST_F(Tunnel, WhatNobodyAskedForIsRefused) {
  EXPECT_TRUE(answered_by(std::string(kSwitched)).failure);
  EXPECT_TRUE(answered_by("HTTP/1.1 101 Switching Protocols\r\n\r\n", {.upgrade = "websocket"}).failure);
  EXPECT_TRUE(
      answered_by("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", {.upgrade = "websocket"}).failure);
  EXPECT_TRUE(answered_by("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\n", {.upgrade = "websocket"})
                  .failure);
}

}  // namespace
}  // namespace fivefold::upstream
