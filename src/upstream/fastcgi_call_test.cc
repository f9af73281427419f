#include "upstream/cgi_exchange.h"
#include "upstream/cgi_rig_test.h"

namespace fivefold::upstream {
namespace {

class FastcgiCall : public FastcgiRig {
 protected:
  net::Task<void> stream(std::atomic<bool>& first_seen, Outcome& out) {
    auto call = co_await prepare();
    auto answer = co_await call_fastcgi(std::move(*call), {});
    EXPECT_TRUE(answer);
    EXPECT_FALSE(answer->body.length());
    while (true) {
      auto chunk = co_await answer->body.next();
      EXPECT_TRUE(chunk);
      if (!chunk || chunk->empty()) break;
      out.chunks.emplace_back(*chunk);
      first_seen = true;
    }
    out.idle_at_answer = home_->idle();
  }
};

TEST_F(FastcgiCall, AnswerThatComesWhole) {
  answer(kHello);
  const auto out = call(call_fastcgi);
  ASSERT_FALSE(out.failure) << out.failure->error.message;
  EXPECT_EQ(out.status, 200);
  EXPECT_THAT(out.fields, HasSubstr("Content-Type: text/plain"));
  EXPECT_EQ(out.body, "hello");
  EXPECT_TRUE(out.whole);
  EXPECT_EQ(out.length, 5u);
  EXPECT_EQ(out.idle_at_answer, 1u);
  EXPECT_EQ(owner_.gone, 1);
  EXPECT_EQ(owner_.broke, "");
  stop_application();
  EXPECT_TRUE(seen_.keep);
  EXPECT_EQ(seen_.params, "\13\2SCRIPT_NAME/x"s);
  EXPECT_EQ(seen_.body, "");
}

TEST_F(FastcgiCall, OneConnectionServesManyRequests) {
  answer(kHello);
  for (int i = 0; i < 50; ++i) {
    const auto out = call(call_fastcgi);
    ASSERT_FALSE(out.failure) << out.failure->error.message;
    ASSERT_EQ(out.body, "hello");
  }
  EXPECT_EQ(application_->accepted(), 1);
}

TEST_F(FastcgiCall, IsNotAskedToKeepWhatWouldNotBeKept) {
  answer(kHello, {.most_idle = 0});
  const auto out = call(call_fastcgi);
  EXPECT_EQ(out.body, "hello");
  EXPECT_EQ(home_->idle(), 0u);
  application_->stop();
  EXPECT_FALSE(seen_.keep);
}

TEST_F(FastcgiCall, ApplicationThatClosesRightAfterItsAnswer) {
  serve([](AppSide& app) {
    ReceivedRequest request;
    read_request(app, request);
    app.send(kHello);
  });
  for (int i = 0; i < 20; ++i) {
    const auto out = call(call_fastcgi);
    ASSERT_FALSE(out.failure) << out.failure->error.message;
    EXPECT_EQ(out.body, "hello");
    run(settle());
    application_->stop();  // it has closed: the loop may not have heard of it yet
    serve([](AppSide& app) {
      ReceivedRequest request;
      read_request(app, request);
      app.send(kHello);
    });
  }
}

TEST_F(FastcgiCall, HeadInPiecesAndStatus) {
  serve([](AppSide& app) {
    ReceivedRequest request;
    read_request(app, request);
    for (const char byte : "Status: 404 Nothing\r\nX-A: 1\r\n\r\n"s) app.send(stdout_record({&byte, 1}));
    app.send(stdout_record("gone") + end_record());
  });
  const auto out = call(call_fastcgi);
  ASSERT_FALSE(out.failure) << out.failure->error.message;
  EXPECT_EQ(out.status, 404);
  EXPECT_EQ(out.reason, "Nothing");
  EXPECT_EQ(out.body, "gone");
}

TEST_F(FastcgiCall, StreamsWhatTakesItsTime) {
  std::atomic<bool> first_seen = false;
  serve([&](AppSide& app) {
    ReceivedRequest request;
    read_request(app, request);
    app.send(stdout_record("\r\n") + stdout_record("first"));
    for (int i = 0; i < 20'000 && !first_seen; ++i) ::usleep(1000);
    app.send(stdout_record("second") + end_record());
    app.at_end();
  });
  Outcome out;
  run(stream(first_seen, out));
  EXPECT_EQ(out.chunks, (std::vector<std::string>{"first", "second"}));
  EXPECT_EQ(out.idle_at_answer, 1u);  // given back with the end
  stop_application();
  EXPECT_EQ(owner_.gone, 1);
}

TEST_F(FastcgiCall, LargeBodyBothWaysAtOnce) {
  // An echo that answers while it reads, and neither side can hold it all.
  static constexpr std::size_t kPieces = 400, kPiece = 50'000;
  serve([](AppSide& app) {
    ReceivedRequest request;
    if (!read_begin(app, request)) return;
    app.send(stdout_record("\r\n"));
    int type = 0;
    std::string content;
    while (read_record(app, type, content) && !content.empty())
      if (!app.send(stdout_record(content))) return;
    app.send(end_record());
    app.at_end();
  });
  const auto out = call(call_fastcgi, [this](Call& call) {
    with_body(call, exchange::Body::stream(std::make_unique<Pieces>(loop_, kPieces, std::string(kPiece, 'e'))),
              kPieces * kPiece);
  });
  ASSERT_FALSE(out.failure) << out.failure->error.message;
  ASSERT_FALSE(out.broken) << out.broken->message;
  EXPECT_EQ(out.body.size(), kPieces * kPiece);
  EXPECT_EQ(home_->idle(), 1u);
}

TEST_F(FastcgiCall, BodyInRecords) {
  answer(kHello);
  const struct {
    std::size_t count, size;
    std::optional<std::uint64_t> length;
  } rows[] = {{3, 10, 30}, {3, 10, std::nullopt}, {2, 200'000, 400'000}, {1, 65535, 65535},
              {0, 0, 0},   {0, 0, std::nullopt}};
  for (const auto& row : rows) {
    const auto out = call(call_fastcgi, [&](Call& call) {
      with_body(call, exchange::Body::stream(std::make_unique<Pieces>(loop_, row.count, std::string(row.size, 'b'))),
                row.length);
    });
    ASSERT_FALSE(out.failure) << out.failure->error.message;
    EXPECT_EQ(home_->idle(), 1u);
  }
  const auto out = call(call_fastcgi, [](Call& call) { with_body(call, exchange::Body::text("in memory"), 9); });
  EXPECT_EQ(out.body, "hello");
  stop_application();
  EXPECT_EQ(seen_.body, "in memory");
}

TEST_F(FastcgiCall, AnswerBeforeTheBodyWasSent) {
  serve([](AppSide& app) {
    ReceivedRequest request;
    read_begin(app, request);
    app.send(kHello);
    app.at_end();
  });
  const auto out = call(call_fastcgi, [this](Call& call) {
    with_body(call, exchange::Body::stream(std::make_unique<Pieces>(loop_, 1, "start", std::nullopt, false)), 1000);
  });
  ASSERT_FALSE(out.failure) << out.failure->error.message;
  EXPECT_EQ(out.body, "hello");
  EXPECT_EQ(home_->idle(), 0u);  // the rest of the body has not been sent: nothing else may follow
  EXPECT_EQ(owner_.gone, 1);
}

TEST_F(FastcgiCall, ErrorOutputGoesToTheOwner) {
  answer(stderr_record("PHP Warning: a\n") + stdout_record("\r\nx") + stderr_record("b\n") + end_record());
  EXPECT_EQ(call(call_fastcgi).body, "x");
  EXPECT_EQ(owner_.error_output, "PHP Warning: a\nb\n");
}

TEST_F(FastcgiCall, LengthCheckedBothWays) {
  answer(stdout_record("Content-Length: 5\r\n\r\nhello") + end_record());
  auto out = call(call_fastcgi);
  EXPECT_EQ(out.body, "hello");
  EXPECT_EQ(out.idle_at_answer, 1u);

  answer(stdout_record("Content-Length: 6\r\n\r\nhello") + end_record());
  out = call(call_fastcgi);
  ASSERT_TRUE(out.failure);
  EXPECT_EQ(out.failure->error.code, Code::program_failed);
  EXPECT_THAT(out.failure->error.message, HasSubstr("1 bytes before the length"));
  EXPECT_FALSE(out.failure->came_to_nothing);

  for (const auto& extra : {stdout_record("Content-Length: 4\r\n\r\nhello"),
                            stdout_record("Content-Length: 4\r\n\r\nhell") + stdout_record("o")}) {
    answer(extra + end_record());
    out = call(call_fastcgi);
    ASSERT_FALSE(out.failure) << out.failure->error.message;
    EXPECT_EQ(out.body, "hell");
    run(settle());
    EXPECT_EQ(home_->idle(), 0u);
  }
}

TEST_F(FastcgiCall, StreamThatEndsEarlyIsBroken) {
  const std::string many(100'000, 'm');
  answer(stdout_record("Content-Length: 200000\r\n\r\n") + stdout_record(many.substr(0, 60'000)) +
         stdout_record(many.substr(60'000)) + end_record());
  const auto out = call(call_fastcgi);
  ASSERT_FALSE(out.failure);
  EXPECT_EQ(out.length, 200'000u);
  ASSERT_TRUE(out.broken);
  EXPECT_EQ(out.broken->code, Code::program_failed);
  EXPECT_EQ(out.body.size(), 100'000u);
  EXPECT_THAT(owner_.broke, HasSubstr("100000 bytes before the length"));
  EXPECT_EQ(owner_.gone, 1);
}

TEST_F(FastcgiCall, StreamThatIsCutIsBroken) {
  serve([](AppSide& app) {
    ReceivedRequest request;
    read_request(app, request);
    app.send(stdout_record("\r\n") + stdout_record(std::string(65'000, 'x')) + stdout_record(std::string(65'000, 'x')));
  });
  const auto out = call(call_fastcgi);
  ASSERT_TRUE(out.broken || out.failure);
  const auto& error = out.broken ? *out.broken : out.failure->error;
  EXPECT_EQ(error.code, Code::program_failed);
  EXPECT_THAT(error.message, HasSubstr("no END_REQUEST"));
}

TEST_F(FastcgiCall, ApplicationThatWorksOnKeepsItsConnectionAndItsPlace) {
  std::atomic<bool> go_on = false;
  serve([&](AppSide& app) {
    ReceivedRequest request;
    read_request(app, request);
    app.send(stdout_record("Content-Length: 2\r\n\r\nok"));
    for (int i = 0; i < 20'000 && !go_on; ++i) ::usleep(1000);
    app.send(stderr_record("done") + end_record());
    app.at_end();
  });
  const auto out = call(call_fastcgi);
  EXPECT_EQ(out.body, "ok");
  EXPECT_TRUE(out.whole);
  EXPECT_EQ(out.idle_at_answer, 0u);
  EXPECT_EQ(owner_.gone, 0);               // it is still busy with this request
  EXPECT_EQ(owner_.outlived_requests, 1);  // and has been told that nothing of it may be looked at
  go_on = true;
  run(settle());
  EXPECT_EQ(owner_.gone, 1);
  EXPECT_EQ(owner_.error_output, "done");
  EXPECT_EQ(home_->idle(), 1u);
  stop_application();
}

TEST_F(FastcgiCall, NoBodyWhereNoneMayBe) {
  const struct {
    std::string head;
    http::Method method;
    std::optional<std::uint64_t> length;
  } rows[] = {{"Status: 204\r\n\r\n", http::Method::get, 0},
              {"Status: 304\r\nETag: \"a\"\r\n\r\n", http::Method::get, 0},
              {"Content-Length: 9999\r\n\r\n", http::Method::head, 9999},
              {"X-A: 1\r\n\r\n", http::Method::head, std::nullopt}};
  for (const auto& row : rows) {
    answer(stdout_record(row.head) + stdout_record("not wanted") + end_record());
    const auto out = call(call_fastcgi, [&row](Call& call) { call.method = row.method; });
    ASSERT_FALSE(out.failure) << out.failure->error.message;
    EXPECT_EQ(out.body, "");
    EXPECT_EQ(out.length, row.length);
    run(settle());
    EXPECT_EQ(home_->idle(), 1u);  // what nobody wanted has been read
  }
}

TEST_F(FastcgiCall, EndlessBodyOfHeadEndsItsConnection) {
  serve([](AppSide& app) {
    ReceivedRequest request;
    read_request(app, request);
    app.send(stdout_record("\r\n"));
    while (app.send(stdout_record(std::string(60'000, 'x')))) {
    }
  });
  const auto out = call(call_fastcgi, [](Call& call) { call.method = http::Method::head; });
  ASSERT_FALSE(out.failure);
  run(settle());
  EXPECT_EQ(home_->idle(), 0u);
  EXPECT_EQ(owner_.gone, 1);
}

TEST_F(FastcgiCall, OrdersToTheServer) {
  answer(stdout_record("Location: /other?x=1\r\nSet-Cookie: a=b\r\n\r\n") + end_record());
  auto out = call(call_fastcgi);
  EXPECT_EQ(target_, "/other?x=1");
  EXPECT_THAT(out.fields, HasSubstr("Set-Cookie: a=b"));
  EXPECT_EQ(home_->idle(), 1u);

  answer(stdout_record("X-Accel-Redirect: /files/a.bin\r\n\r\n") + end_record());
  out = call(call_fastcgi);
  EXPECT_EQ(out.send_file, "/files/a.bin");

  answer(stdout_record("Location: http://elsewhere.example/\r\n\r\n") + end_record());
  out = call(call_fastcgi);
  EXPECT_EQ(out.status, 302);
  EXPECT_TRUE(redirects_);
}

}  // namespace
}  // namespace fivefold::upstream
