#include "upstream/cgi_rig_test.h"

namespace fivefold::upstream {
namespace {

class FastcgiFailure : public FastcgiRig {};

TEST_F(FastcgiFailure, Refusals) {
  const struct {
    int status;
    Code code;
    const char* says;
  } rows[] = {{1, Code::program_failed, "cannot serve a second request"},
              {2, Code::program_unavailable, "overloaded"},
              {3, Code::program_failed, "responder role"}};
  for (const auto& row : rows) {
    answer(end_record(row.status));
    const auto out = call(call_fastcgi);
    ASSERT_TRUE(out.failure);
    EXPECT_EQ(out.failure->error.code, row.code);
    EXPECT_THAT(out.failure->error.message, HasSubstr(row.says));
    EXPECT_TRUE(out.failure->came_to_nothing);
    EXPECT_NE(out.failure->owner, nullptr);
    EXPECT_EQ(home_->idle(), 0u);
  }
}

TEST_F(FastcgiFailure, Nonsense) {
  const struct {
    std::string response;
    const char* says;
  } rows[] = {{"HTTP/1.1 200 OK\r\n\r\n", "is this a FastCGI application"},
              {record(6, "x", 0, 2), "a record of request 2"},
              {record(10, "x"), "of type 10"},
              {stdout_record("no field\r\n\r\n") + end_record(), "no header field"},
              {stdout_record("Transfer-Encoding: chunked\r\n\r\n") + end_record(), "Transfer-Encoding"},
              {stdout_record(std::string(50'000, 'h')), "longer than 32768"},
              {end_record(), "without any output"},
              {stdout_record("X-A: 1\r\n") + end_record(), "before its response head did"}};
  for (const auto& row : rows) {
    answer(row.response);
    const auto out = call(call_fastcgi);
    ASSERT_TRUE(out.failure) << row.says;
    EXPECT_EQ(out.failure->error.code, Code::program_failed);
    EXPECT_THAT(out.failure->error.message, HasSubstr(row.says));
    EXPECT_FALSE(out.failure->came_to_nothing);
    EXPECT_EQ(home_->idle(), 0u);
  }
}

TEST_F(FastcgiFailure, NonsenseBehindTheAnswerDropsTheConnection) {
  answer(kHello + "more");
  EXPECT_EQ(call(call_fastcgi).body, "hello");
  run(settle());
  EXPECT_EQ(home_->take_idle(), nullptr);
}

TEST_F(FastcgiFailure, ConnectionThatEndsUnused) {
  serve([](AppSide& app) {
    ReceivedRequest request;
    read_begin(app, request);
  });
  auto out = call(call_fastcgi);
  ASSERT_TRUE(out.failure);
  EXPECT_TRUE(out.failure->came_to_nothing);
  EXPECT_FALSE(out.failure->body_touched);
  EXPECT_FALSE(out.failure->reused);
  EXPECT_THAT(out.failure->error.message, HasSubstr("without an answer"));

  out = call(call_fastcgi, [this](Call& call) {
    with_body(call, exchange::Body::stream(std::make_unique<Pieces>(loop_, 1, "start", std::nullopt, false)), 1000);
  });
  ASSERT_TRUE(out.failure);
  EXPECT_TRUE(out.failure->came_to_nothing);
  EXPECT_TRUE(out.failure->body_touched);
}

TEST_F(FastcgiFailure, KeptConnectionThatEndsUnderTheRequest) {
  serve([](AppSide& app) {
    ReceivedRequest request;
    if (!read_request(app, request)) return;
    app.send(kHello);
    read_begin(app, request);
  });
  EXPECT_EQ(call(call_fastcgi).body, "hello");
  const auto out = call(call_fastcgi);
  ASSERT_TRUE(out.failure);
  EXPECT_TRUE(out.failure->came_to_nothing);
  EXPECT_TRUE(out.failure->reused);
}

TEST_F(FastcgiFailure, ClientsFailureIsNotTheApplications) {
  answer(kHello);
  const auto out = call(call_fastcgi, [this](Call& call) {
    with_body(call,
              exchange::Body::stream(
                  std::make_unique<Pieces>(loop_, 2, "start", Error{Code::request_timeout, "the client is slow"})),
              1000);
  });
  ASSERT_TRUE(out.failure);
  EXPECT_EQ(out.failure->error.code, Code::request_timeout);
  EXPECT_TRUE(out.failure->body_touched);
  EXPECT_FALSE(out.failure->came_to_nothing);
}

TEST_F(FastcgiFailure, Timeouts) {
  const struct {
    CallTimeouts timeouts;
    std::string response;
    const char* says;
  } rows[] = {{{.first_byte = 60ms}, "", "no complete response head within 0.06 seconds"},
              {{.first_byte = 60ms}, stdout_record("X-A: 1\r\n"), "no complete response head"},
              {{.idle = 60ms}, stdout_record("\r\nsome"), "sent nothing for 0.06 seconds"},
              {{.deadline = net::Clock::now() + 200ms}, "", "not done within the time"}};
  for (const auto& row : rows) {
    answer(row.response);
    timeouts_ = row.timeouts;
    const auto out = call(call_fastcgi);
    ASSERT_TRUE(out.failure || out.broken);
    const auto& error = out.failure ? out.failure->error : *out.broken;
    EXPECT_EQ(error.code, Code::program_timeout);
    EXPECT_THAT(error.message, HasSubstr(row.says));
    if (out.failure) {
      EXPECT_FALSE(out.failure->came_to_nothing);
    } else {
      EXPECT_THAT(owner_.broke, HasSubstr(row.says));
    }
    EXPECT_EQ(home_->idle(), 0u);
  }
}

TEST_F(FastcgiFailure, StderrWithoutEndIsNoAnswer) {
  serve([](AppSide& app) {
    ReceivedRequest request;
    read_request(app, request);
    while (app.send(stderr_record("on and on\n") + record(6, ""))) {
    }
  });
  timeouts_.first_byte = 100ms;
  const auto out = call(call_fastcgi);
  ASSERT_TRUE(out.failure);
  EXPECT_EQ(out.failure->error.code, Code::program_timeout);
}

TEST_F(FastcgiFailure, ApplicationThatTakesNothing) {
  std::atomic<bool> over = false;
  serve([&](AppSide&) {
    for (int i = 0; i < 20'000 && !over; ++i) ::usleep(1000);
  });
  timeouts_.send = 100ms;
  const auto out = call(call_fastcgi, [this](Call& call) {
    with_body(call, exchange::Body::stream(std::make_unique<Pieces>(loop_, 1000, std::string(60'000, 'b'))),
              60'000'000);
  });
  over = true;
  stop_application();
  ASSERT_TRUE(out.failure);
  EXPECT_EQ(out.failure->error.code, Code::program_timeout);
  EXPECT_THAT(out.failure->error.message, HasSubstr("took nothing"));
}

// An upload may take longer than the time to the first byte, as long as it goes on.
TEST_F(FastcgiFailure, FirstByteIsTimedFromTheLastByteSent) {
  serve([](AppSide& app) {
    ReceivedRequest request;
    read_begin(app, request);
    int type = 0;
    for (std::string content; read_record(app, type, content) && !content.empty();) ::usleep(100'000);
    app.send(kHello);
    app.at_end();
  });
  timeouts_.first_byte = 1s;
  const auto out = call(call_fastcgi, [this](Call& call) {
    with_body(call, exchange::Body::stream(std::make_unique<Pieces>(loop_, 16, std::string(65'535, 'b'))), 16 * 65'535);
  });
  ASSERT_FALSE(out.failure) << out.failure->error.message;
  EXPECT_EQ(out.body, "hello");
}

TEST_F(FastcgiFailure, NobodyAnswers) {
  answer(kHello);
  application_->stop();
  const auto out = call(call_fastcgi);
  ASSERT_TRUE(out.failure);
  EXPECT_EQ(out.failure->error.code, Code::program_unavailable);
}

net::Task<void> let_go_after(net::Loop& loop, net::Task<void> task, std::chrono::milliseconds after) {
  net::TaskGroup group;
  group.start(std::move(task));
  co_await net::sleep_until(loop, loop.now() + after);
}

// Wherever the call waits, it may be destroyed: with its head unsent, its body under way, its answer awaited or read.
TEST_F(FastcgiFailure, MayBeLetGoOfAnywhere) {
  std::atomic<bool> over = false;
  serve([&](AppSide& app) {
    static std::atomic<int> turn = 0;
    ReceivedRequest request;
    const int what = turn++ % 5;
    if (what > 0) read_begin(app, request);
    if (what == 2) app.send(stdout_record("X-A: 1\r\n"));
    if (what == 3) app.send(stdout_record("\r\nsome"));
    if (what == 4) app.send(stdout_record("Content-Length: 1\r\n\r\nx"));
    for (int i = 0; i < 20'000 && !over; ++i) ::usleep(1000);
  });
  for (int i = 0; i < 10; ++i) {
    Outcome out;
    const auto body = [this, i](Call& call) {
      if (i % 2 == 0) return;
      with_body(call, exchange::Body::stream(std::make_unique<Pieces>(loop_, 1000, std::string(60'000, 'b'))),
                std::nullopt);
    };
    run(let_go_after(loop_, call_once(call_fastcgi, body, out, true), 20ms));
  }
  EXPECT_GT(owner_.gone, 5);
  world_.background.clear();
  EXPECT_EQ(owner_.gone, owner_.made);
  EXPECT_EQ(home_->idle(), 0u);
  over = true;
  stop_application();
}

}  // namespace
}  // namespace fivefold::upstream
