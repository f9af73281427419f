// Which connections are kept, which are given out again, and how new ones are found.
#include "upstream/connections.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "upstream/http_rig_test.h"

namespace fivefold::upstream {
namespace {

using Kept = HttpCallTest;

net::Task<void> open_one(Connections& home, Result<std::unique_ptr<Connection>>& result) {
  result = co_await home.open();
}
net::Task<void> wait_for(net::Loop& loop, milliseconds time) { co_await net::sleep_until(loop, loop.now() + time); }

TEST_F(Kept, OneThatTheApplicationClosesIsNotGivenOut) {
  std::atomic<bool> closed = false;
  serve([&closed](AppSide& app) {
    app.read_head();
    app.send(ok_with("x"));
    app.close();
    closed = true;
  });
  ask();
  while (!closed) std::this_thread::yield();
  run(wait_for(loop_, 60ms));
  EXPECT_EQ(home_->take_idle(), nullptr);
  EXPECT_EQ(ask().body, "x");
  application_->stop();
}

TEST_F(Kept, OneThatSaysWhatNobodyAskedForIsNotGivenOut) {
  std::atomic<bool> said = false;
  serve([&said](AppSide& app) {
    app.read_head();
    app.send(ok_with("x"));
    std::this_thread::sleep_for(20ms);
    app.send("HTTP/1.1 408 Request Timeout\r\n\r\n");
    said = true;
    app.at_end();
  });
  EXPECT_EQ(ask().body, "x");
  while (!said) std::this_thread::yield();
  run(wait_for(loop_, 60ms));
  EXPECT_EQ(home_->take_idle(), nullptr);
}

TEST_F(Kept, TheLatestUsedIsGivenOutFirstAndTheRestIsClosedAfterItsTime) {
  serve([](AppSide& app) { app.at_end(); }, {.idle = 200ms, .most_idle = 2});
  std::vector<std::unique_ptr<Connection>> connections;
  for (int i = 0; i < 3; ++i) {
    Result<std::unique_ptr<Connection>> opened;
    run(open_one(*home_, opened));
    ASSERT_TRUE(opened) << opened.error().message;
    connections.push_back(std::move(*opened));
  }
  const auto* last = connections.back().get();
  for (auto& connection : connections) home_->give_back(std::move(connection));
  EXPECT_EQ(home_->idle(), 2u);  // most_idle: the longest idle has gone
  auto taken = home_->take_idle();
  EXPECT_EQ(taken.get(), last);
  taken.reset();
  EXPECT_EQ(home_->idle(), 1u);
  run(wait_for(loop_, 300ms));
  EXPECT_EQ(home_->idle(), 0u);
  EXPECT_EQ(home_->take_idle(), nullptr);
}

TEST_F(Kept, NoLongerThanTheApplicationSays) {
  answer_all(ok_with("x", "Keep-Alive: timeout=1, max=100\r\n"));
  ask();
  EXPECT_EQ(home_->idle(), 1u);
  run(wait_for(loop_, 550ms));
  EXPECT_EQ(home_->take_idle(), nullptr);
}

TEST_F(Kept, NoneOfAnInstanceOnItsWayOut) {
  answer_all(ok_with("x"));
  ask();
  EXPECT_EQ(home_->idle(), 1u);
  home_->close_idle();
  EXPECT_EQ(home_->idle(), 0u);
  EXPECT_EQ(ask().body, "x");
  EXPECT_EQ(home_->idle(), 0u);
}

TEST_F(Kept, NobodyThere) {
  Connections home(loop_, {.path = "/tmp/fivefold_upstream_nobody_is_here"}, {}, nullptr, nullptr);
  Result<std::unique_ptr<Connection>> opened;
  run(open_one(home, opened));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::program_unavailable);
  Connections unresolved(loop_, {.host = "example.org", .port = 80}, {}, nullptr, nullptr);
  run(open_one(unresolved, opened));
  EXPECT_EQ(opened.error().code, Code::internal);
  Connections too_long(loop_, {.path = "/" + std::string(200, 'x')}, {}, nullptr, nullptr);
  run(open_one(too_long, opened));
  EXPECT_EQ(opened.error().code, Code::internal);
}

// "localhost" is ::1 and 127.0.0.1; the application listens on the second alone.
TEST_F(Kept, TheAddressesOfANameAreTriedInOrder) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener, 8), 0);
  socklen_t length = sizeof address;
  ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length), 0);
  net::Resolver resolver(blocking_);
  Connections home(loop_, {.host = "localhost", .port = ntohs(address.sin_port)}, {}, &resolver, nullptr);
  Result<std::unique_ptr<Connection>> opened;
  run(open_one(home, opened));
  EXPECT_TRUE(opened) << opened.error().message;
  ::close(listener);
  run(open_one(home, opened));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::program_unavailable);
}

}  // namespace
}  // namespace fivefold::upstream
