// Requests in HTTP/2 over one connection: many at once, held back, refused, ended early, let go of.
#include "upstream/h2_rig_test.h"

namespace fivefold::upstream {
namespace {

TEST_F(H2cCall, AShortAnswer) {
  H2App::Stream seen;
  serve_h2([&seen](H2App& app, std::int32_t id, H2App::Stream& request) {
    seen = request;
    app.respond(id, {{":status", "200"}, {"content-length", "5"}, {"x-answer", "Yes"}}, "hello");
  });
  const auto outcome = ask({.target = "/a?b"});
  ASSERT_FALSE(outcome.failure) << outcome.failure->error.message;
  EXPECT_EQ(outcome.status, 200);
  EXPECT_EQ(outcome.fields, "x-answer: Yes\r\n");
  EXPECT_EQ(outcome.body, "hello");
  EXPECT_TRUE(outcome.whole);
  EXPECT_EQ(owner_.gone, 1);
  EXPECT_EQ(seen.method + seen.path + seen.authority, "GET/a?bexample.org");
  EXPECT_EQ(seen.fields, ":scheme: http\nx-own: Value\nte: trailers\n");
}

TEST_F(H2cCall, ManyAtOnceOverOneConnection) {
  serve_h2([](H2App& app, std::int32_t id, H2App::Stream& request) {
    app.respond(id, {{":status", "200"}}, "answer to " + request.path);
  });
  std::vector<Question> questions;
  for (int i = 0; i < 50; ++i) questions.push_back({.target = "/" + std::to_string(i)});
  const auto outcomes = ask_at_once(std::move(questions));
  for (int i = 0; i < 50; ++i) EXPECT_EQ(outcomes[static_cast<std::size_t>(i)].body, "answer to /" + std::to_string(i));
  EXPECT_EQ(application_->accepted(), 1);
  EXPECT_EQ(owner_.gone, 50);
}

TEST_F(H2cCall, NoMoreAtOnceThanTheApplicationTakes) {
  std::atomic<std::size_t> most = 0;
  serve_h2(
      [&most](H2App& app, std::int32_t id, H2App::Stream&) {
        most = app.most_open;
        app.respond(id, {{":status", "200"}}, "x");
      },
      false, 3);
  const auto outcomes = ask_at_once(std::vector<Question>(20));
  for (const auto& outcome : outcomes) EXPECT_EQ(outcome.body, "x");
  EXPECT_LE(most, 3u);
  EXPECT_EQ(application_->accepted(), 1);
}

TEST_F(H2cCall, RoomIsNotWaitedForWithoutEnd) {
  timeouts_.first_byte = 60ms;
  serve_h2([](H2App&, std::int32_t, H2App::Stream&) {}, false, 1);
  const auto outcomes = ask_at_once(std::vector<Question>(3));
  for (const auto& outcome : outcomes) EXPECT_EQ(outcome.failure.value().error.code, Code::program_timeout);
}

TEST_F(H2cCall, BodiesOfRequests) {
  serve_h2([](H2App& app, std::int32_t id, H2App::Stream& request) {
    app.respond(id, {{":status", "200"}}, std::to_string(request.body.size()) + " " + request.fields);
  });
  EXPECT_THAT(
      ask({.method = http::Method::post, .body = [](net::Loop&) { return exchange::Body::text("hello"); }}).body,
      HasSubstr("5 :scheme: http\nx-own: Value\nte: trailers\ncontent-length: 5"));
  EXPECT_THAT(ask({.method = http::Method::post, .body = pieces_of(30, std::string(10'000, 'x'))}).body,
              HasSubstr("300000 "));
  EXPECT_THAT(
      ask({.method = http::Method::post, .body = pieces_of(30, std::string(10'000, 'x')), .body_length = 300'000}).body,
      HasSubstr("content-length: 300000"));
  EXPECT_THAT(ask({.method = http::Method::post}).body,
              HasSubstr("0 :scheme: http\nx-own: Value\nte: trailers\ncontent-length: 0"));
}

TEST_F(H2cCall, LongAnswersHeldBackByTheirReaders) {
  serve_h2([](H2App& app, std::int32_t id, H2App::Stream&) {
    app.respond(id, {{":status", "200"}, {"content-length", "2000000"}}, std::string(2'000'000, 'y'));
  });
  const auto outcomes = ask_at_once(std::vector<Question>(4));
  for (const auto& outcome : outcomes) {
    EXPECT_EQ(outcome.body.size(), 2'000'000u);
    EXPECT_EQ(outcome.length, 2'000'000u);
  }
}

// One answer that nobody reads does not keep others from theirs.
TEST_F(H2cCall, AnAnswerThatIsNotReadHoldsUpNobodyElse) {
  serve_h2([](H2App& app, std::int32_t id, H2App::Stream& request) {
    app.respond(id, {{":status", "200"}}, std::string(request.path == "/large" ? 5'000'000 : 5, 'y'));
  });
  exchange::Body kept;
  run(ask_unread(kept));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ask().body, "yyyyy");
  EXPECT_EQ(application_->accepted(), 1);
  kept = {};
  EXPECT_EQ(ask().body, "yyyyy");
}

TEST_F(H2cCall, InterimResponsesAndTrailers) {
  serve_h2([](H2App& app, std::int32_t id, H2App::Stream&) {
    app.interim(id, {{":status", "100"}});
    app.interim(id, {{":status", "103"}, {"link", "</a.css>"}});
    app.respond(id, {{":status", "200"}}, "body", {{"grpc-status", "0"}, {"x-checksum", "1"}});
  });
  const auto outcome = ask();
  EXPECT_EQ(exchange_.interim, "103|link: </a.css>\r\n");
  EXPECT_EQ(outcome.body, "body");
  EXPECT_EQ(outcome.trailers, "grpc-status: 0\r\nx-checksum: 1\r\n");
}

TEST_F(H2cCall, ResponsesWithoutABody) {
  serve_h2([](H2App& app, std::int32_t id, H2App::Stream& request) {
    if (request.method == "HEAD")
      app.respond(id, {{":status", "200"}, {"content-length", "12"}}, "");
    else
      app.respond(id, {{":status", "204"}}, "");
  });
  EXPECT_EQ(ask({.method = http::Method::head}).length, 12u);
  EXPECT_EQ(ask().status, 204);
}

TEST_F(H2cCall, AStreamedAnswerIsPassedOnAsItComes) {
  serve_h2([](H2App& app, std::int32_t id, H2App::Stream& request) {
    if (request.path == "/stream") {
      app.respond(id, {{":status", "200"}}, "data: 1\n", {}, true);
    } else {  // what the caller sends when it has got the first piece
      app.append(id - 2, "data: 2\n", true);
      app.respond(id, {{":status", "200"}}, "ok");
    }
  });
  Outcome second;
  net::TaskGroup group;
  bool asked = false;
  on_chunk_ = [&](std::string_view) {
    if (!std::exchange(asked, true)) group.start(ask_for({.target = "/next"}, second));
  };
  EXPECT_EQ(ask({.target = "/stream"}).body, "data: 1\ndata: 2\n");
}

TEST_F(H2cCall, RefusedStreamsCameToNothing) {
  serve_h2([](H2App& app, std::int32_t id, H2App::Stream&) {
    nghttp2_submit_rst_stream(app.session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
  });
  auto outcome = ask({.method = http::Method::post, .body = [](net::Loop&) { return exchange::Body::text("kept"); }});
  ASSERT_TRUE(outcome.failure);
  EXPECT_TRUE(outcome.failure->came_to_nothing);
  EXPECT_TRUE(outcome.failure->unread);
  EXPECT_FALSE(outcome.failure->body_touched);
  ASSERT_NE(outcome.failure->body.as_bytes(), nullptr);
  EXPECT_NE(outcome.failure->owner, nullptr);
}

// On a connection that goes on, the next try would be refused as well: it must not look like a connection's natural
// end.
TEST_F(H2cCall, ARefusalOnAConnectionThatGoesOn) {
  serve_h2([](H2App& app, std::int32_t id, H2App::Stream& request) {
    if (request.path == "/fine") return app.respond(id, {{":status", "200"}}, "fine");
    nghttp2_submit_rst_stream(app.session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
  });
  EXPECT_EQ(ask({.target = "/fine"}).body, "fine");
  const auto outcome = ask();
  ASSERT_TRUE(outcome.failure);
  EXPECT_TRUE(outcome.failure->declined);
  EXPECT_FALSE(outcome.failure->unsent);
  EXPECT_FALSE(outcome.failure->reused);
  EXPECT_EQ(application_->accepted(), 1);
}

TEST_F(H2cCall, AGoodbyeSendsTheNextRequestToANewConnection) {
  serve_h2([](H2App& app, std::int32_t id, H2App::Stream&) {
    app.respond(id, {{":status", "200"}}, "last one here");
    nghttp2_submit_goaway(app.session, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR, nullptr, 0);
  });
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(ask().body, "last one here");
    EXPECT_EQ(application_->accepted(), i);
  }
}

// Not connected to again and again.
TEST_F(H2cCall, AGoodbyeAtOnce) {
  serve([](AppSide& side) {
    H2App app(side, [](H2App&, std::int32_t, H2App::Stream&) {});
    nghttp2_submit_goaway(app.session, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, nullptr, 0);
    app.run();
  });
  h2_.emplace(*home_);
  for (const auto& outcome : ask_at_once(std::vector<Question>(3))) {
    ASSERT_TRUE(outcome.failure);
    EXPECT_EQ(outcome.failure->error.code, Code::program_failed);
    EXPECT_TRUE(outcome.failure->unsent || outcome.failure->came_to_nothing) << outcome.failure->error.message;
  }
  EXPECT_LE(application_->accepted(), 3);
  h2_.reset();
}

TEST_F(H2cCall, WhatAGoodbyeDoesNotCoverCameToNothing) {
  serve_h2([](H2App& app, std::int32_t id, H2App::Stream&) {
    if (id == 3) nghttp2_submit_goaway(app.session, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, nullptr, 0);
  });
  for (const auto& outcome : ask_at_once(std::vector<Question>(2))) {
    ASSERT_TRUE(outcome.failure);
    EXPECT_TRUE(outcome.failure->came_to_nothing) << outcome.failure->error.message;
  }
}

TEST_F(H2cCall, AConnectionThatEnds) {
  serve_h2([](H2App& app, std::int32_t id, H2App::Stream& request) {
    if (request.path == "/half") app.respond(id, {{":status", "200"}}, "half", {}, true);
    app.stop = true;
  });
  auto outcome = ask();
  ASSERT_TRUE(outcome.failure);
  EXPECT_TRUE(outcome.failure->came_to_nothing);
  outcome = ask({.target = "/half"});
  EXPECT_EQ(outcome.body, "half");
  EXPECT_EQ(outcome.broken.value().code, Code::program_failed);
  EXPECT_NE(owner_.broke, "");
  EXPECT_EQ(application_->accepted(), 2);
}

TEST_F(H2cCall, AStreamThatIsReset) {
  serve_h2([](H2App& app, std::int32_t id, H2App::Stream&) {
    nghttp2_submit_rst_stream(app.session, NGHTTP2_FLAG_NONE, id, NGHTTP2_INTERNAL_ERROR);
  });
  const auto outcome = ask();
  ASSERT_TRUE(outcome.failure);
  EXPECT_FALSE(outcome.failure->came_to_nothing);
  EXPECT_EQ(outcome.failure->error.code, Code::program_failed);
}

TEST_F(H2cCall, AnEarlyAnswerEndsTheRequest) {
  serve_h2([](H2App& app, std::int32_t id, H2App::Stream&) { app.respond(id, {{":status", "413"}}, "too big"); }, true);
  const auto outcome = ask({.method = http::Method::post, .body = pieces_of(1, "x", {}, false)});
  EXPECT_EQ(outcome.status, 413);
  EXPECT_EQ(outcome.body, "too big");
  EXPECT_EQ(ask().status, 413);
  EXPECT_EQ(application_->accepted(), 1);
}

TEST_F(H2cCall, ErrorsOfTheBodyAreTheClientsOwn) {
  serve_h2([](H2App&, std::int32_t, H2App::Stream&) {});
  const Error error{Code::content_too_large, "too large"};
  auto outcome = ask({.method = http::Method::post, .body = pieces_of(2, "abc", error)});
  EXPECT_EQ(outcome.failure.value().error.code, Code::content_too_large);
  EXPECT_TRUE(outcome.failure->body_touched);
  outcome = ask({.method = http::Method::post, .body = pieces_of(2, "abc"), .body_length = 100});
  EXPECT_EQ(outcome.failure.value().error.code, Code::internal);
}

TEST_F(H2cCall, Times) {
  serve_h2([](H2App& app, std::int32_t id, H2App::Stream& request) {
    if (request.path == "/idle") app.respond(id, {{":status", "200"}}, "half", {}, true);
  });
  timeouts_.first_byte = 60ms;
  EXPECT_EQ(ask().failure.value().error.code, Code::program_timeout);
  timeouts_.first_byte = 10s;
  timeouts_.deadline = net::Clock::now() + 60ms;
  EXPECT_EQ(ask().failure.value().error.code, Code::program_timeout);
  timeouts_.deadline = net::kNever;
  timeouts_.idle = 60ms;
  const auto outcome = ask({.target = "/idle"});
  EXPECT_EQ(outcome.body, "half");
  EXPECT_EQ(outcome.broken.value().code, Code::program_timeout);
}

// Its window is used up and it gives no more.
TEST_F(H2cCall, AnApplicationThatTakesNothing) {
  timeouts_.send = 60ms;
  serve([](AppSide& side) {
    H2App app(side, [](H2App&, std::int32_t, H2App::Stream&) {});
    app.flush();
    pollfd closed{side.fd(), POLLHUP, 0};
    ::poll(&closed, 1, 20'000);
  });
  h2_.emplace(*home_);
  const auto outcome = ask({.method = http::Method::post, .body = pieces_of(100, std::string(10'000, 'x'))});
  EXPECT_EQ(outcome.failure.value().error.code, Code::program_timeout);
  EXPECT_THAT(outcome.failure->error.message, HasSubstr("took nothing"));
  h2_.reset();
}

TEST_F(H2cCall, AnotherProtocol) {
  serve([](AppSide& side) {
    side.read_head();
    side.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
  });
  h2_.emplace(*home_);
  const auto outcome = ask();
  EXPECT_EQ(outcome.failure.value().error.code, Code::program_failed);
  EXPECT_THAT(outcome.failure->error.message, HasSubstr("speaks HTTP/1, not HTTP/2"));
}

TEST_F(H2cCall, NobodyThere) {
  serve([](AppSide&) {});
  Connections nobody(loop_, {.path = "/tmp/fivefold_upstream_nobody_is_here"}, {}, nullptr, nullptr);
  h2_.emplace(nobody);
  const auto outcomes = ask_at_once(std::vector<Question>(3));
  for (const auto& outcome : outcomes) EXPECT_EQ(outcome.failure.value().error.code, Code::program_unavailable);
  h2_.reset();
}

TEST_F(H2cCall, NoUpgrades) {
  serve_h2([](H2App&, std::int32_t, H2App::Stream&) {});
  EXPECT_EQ(ask({.upgrade = "websocket"}).failure.value().error.code, Code::not_implemented);
}

TEST_F(H2cCall, TooLargeAHead) {
  serve_h2([](H2App& app, std::int32_t id, H2App::Stream&) {
    app.respond(id, {{":status", "200"}, {"x-large", std::string(40'000, 'x')}}, "x");
  });
  EXPECT_EQ(ask().failure.value().error.code, Code::program_failed);
}

TEST_F(H2cCall, LetGoAtAnyPoint) {
  serve_h2(
      [](H2App& app, std::int32_t id, H2App::Stream&) {
        app.interim(id, {{":status", "103"}, {"link", "<a>"}});
        app.respond(id, {{":status", "200"}}, std::string(400'000, 'x'));
      },
      true);
  int finished = 0;
  for (int turns = 0; finished < 5 && turns < 2000; ++turns) {
    if (turns % 7 == 0) h2_->close_idle();  // opening is let go of, too
    std::vector<Outcome> outcomes(2);
    {
      net::TaskGroup group;
      loop_.context().restart();
      for (auto& outcome : outcomes)
        group.start(ask_for({.method = http::Method::post, .body = pieces_of(8, std::string(50'000, 'x'))}, outcome));
      for (int i = 0; i < turns && group.size() > 0; ++i) loop_.context().run_one_for(100ms);
      if (group.size() == 0) ++finished;
    }
    int given_back = 0;
    for (const auto& outcome : outcomes) given_back += outcome.failure && outcome.failure->owner ? 1 : 0;
    EXPECT_EQ(owner_.gone + given_back, owner_.made) << turns;
    owner_ = {};
  }
  EXPECT_EQ(finished, 5);
  EXPECT_FALSE(ask().failure);
}

}  // namespace
}  // namespace fivefold::upstream
