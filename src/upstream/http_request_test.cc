// Requests to applications in HTTP/1.1: how their bodies go out beside the answer, what ends them early, and how long
// things may take.
#include <fcntl.h>

#include <algorithm>

#include "upstream/http_rig_test.h"

namespace fivefold::upstream {
namespace {

using HttpRequest = HttpCallTest;

std::function<exchange::Body(net::Loop&)> pieces(std::size_t count, std::string piece, std::optional<Error> error = {},
                                                 bool ends = true) {
  return [=](net::Loop& loop) {
    return exchange::Body::stream(std::make_unique<Pieces>(loop, count, piece, error, ends));
  };
}

std::function<exchange::Body(net::Loop&)> text(std::string bytes) {
  return [bytes](net::Loop&) { return exchange::Body::text(bytes); };
}

TEST_F(HttpRequest, ABodyInMemory) {
  std::string seen;
  serve([&seen](AppSide& app) {
    seen = app.read_head() + app.read(5);
    app.send(ok_with("got it"));
    app.at_end();
  });
  const auto outcome = ask({.method = http::Method::post, .body = text("hello"), .body_length = 5});
  EXPECT_EQ(outcome.body, "got it");
  EXPECT_EQ(seen, "POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_EQ(home_->idle(), 1u);
}

TEST_F(HttpRequest, AStreamedBodyOfKnownLength) {
  std::string seen;
  serve([&seen](AppSide& app) {
    app.read_head();
    seen = app.read(9);
    app.send(ok_with("got it"));
    app.at_end();
  });
  EXPECT_EQ(ask({.method = http::Method::put, .body = pieces(3, "abc"), .body_length = 9}).body, "got it");
  EXPECT_EQ(seen, "abcabcabc");
  EXPECT_EQ(home_->idle(), 1u);
}

TEST_F(HttpRequest, ABodyOfUnknownLengthIsChunked) {
  std::string seen;
  serve([&seen](AppSide& app) {
    seen = app.read_head() + app.read(8 + 8 + 5);
    app.send(ok_with("got it"));
    app.at_end();
  });
  EXPECT_EQ(ask({.method = http::Method::post, .body = pieces(2, "abc")}).body, "got it");
  EXPECT_EQ(seen,
            "POST / HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n"
            "3\r\nabc\r\n3\r\nabc\r\n0\r\n\r\n");
  EXPECT_EQ(home_->idle(), 1u);
}

TEST_F(HttpRequest, AFileIsSentAsItIs) {
  std::string content(200'000, '\0');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 31);
  const auto fd = std::make_shared<UniqueFd>(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  ASSERT_EQ(::write(fd->get(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
  std::string seen;
  serve([&](AppSide& app) {
    app.read_head();
    seen = app.read(content.size() - 10);
    app.send(ok_with("got it"));
    app.at_end();
  });
  const auto body = [fd, &content](net::Loop&) {
    return exchange::Body::file({.keep = fd, .fd = fd->get(), .offset = 10, .length = content.size() - 10});
  };
  EXPECT_EQ(ask({.method = http::Method::post, .body = body}).body, "got it");
  EXPECT_EQ(seen, content.substr(10));
}

TEST_F(HttpRequest, MethodsThatUsuallyHaveABodySayThatThereIsNone) {
  std::string seen;
  serve([&seen](AppSide& app) {
    seen = app.read_head();
    app.send(ok_with(""));
  });
  ask({.method = http::Method::post});
  EXPECT_EQ(seen, "POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 0\r\n\r\n");
}

// Pulled the first time, waits until the application has seen the head: a body that is pulled before would never come.
class AfterTheHead final : public exchange::BodySource {
 public:
  explicit AfterTheHead(std::shared_ptr<net::Event> seen) : seen_(std::move(seen)) {}
  net::Task<Result<exchange::Chunk>> next() override {
    co_await seen_->wait();
    co_return exchange::Chunk(std::exchange(sent_, true) ? "" : "late");
  }

 private:
  std::shared_ptr<net::Event> seen_;
  bool sent_ = false;
};

TEST_F(HttpRequest, TheBodyIsPulledOnceTheHeadHasLeft) {
  auto seen = std::make_shared<net::Event>(loop_);
  std::string body;
  serve([&](AppSide& app) {
    const auto head = app.read_head();
    EXPECT_THAT(head, Not(HasSubstr("Expect")));
    loop_.post([seen] { seen->set(); });
    body = app.read(4);
    app.send(ok_with("ok"));
  });
  const auto source = [seen](net::Loop&) { return exchange::Body::stream(std::make_unique<AfterTheHead>(seen)); };
  EXPECT_EQ(
      ask({.method = http::Method::post, .extra_field = "Expect: 100-continue", .body = source, .body_length = 4}).body,
      "ok");
  EXPECT_EQ(body, "late");
}

constexpr std::size_t kMuch = 5 * 1024 * 1024;

TEST_F(HttpRequest, MuchBothWaysAtOnce) {
  const std::string piece(10'000, 'p');
  serve([](AppSide& app) {  // echoes
    app.read_head();
    app.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kMuch) + "\r\n\r\n");
    for (std::size_t left = kMuch; left > 0;) {
      const auto bytes = app.read(std::min<std::size_t>(left, 7'000));
      if (bytes.empty() || !app.send(bytes)) return;
      left -= bytes.size();
    }
    app.at_end();
  });
  const auto body = pieces(kMuch / 1024, std::string(1024, 'b'));
  auto outcome = ask({.method = http::Method::post, .body = body, .body_length = kMuch});
  EXPECT_FALSE(outcome.failure || outcome.broken);
  EXPECT_EQ(outcome.body.size(), kMuch);
  EXPECT_EQ(home_->idle(), 1u);
}

TEST_F(HttpRequest, AnApplicationThatSaysAllBeforeItListens) {
  serve([](AppSide& app) {
    app.read_head();
    app.send(ok_with(std::string(kMuch, 'x')));
    app.read(kMuch);
    app.at_end();
  });
  const auto body = pieces(kMuch / 65536, std::string(65536, 'b'));
  auto outcome = ask({.method = http::Method::post, .body = body, .body_length = kMuch});
  EXPECT_FALSE(outcome.failure || outcome.broken);
  EXPECT_EQ(outcome.body.size(), kMuch);
}

// ---- answers before the request has been sent ----

TEST_F(HttpRequest, AnEarlyAnswerEndsTheRequest) {
  std::string rest;
  serve([&rest](AppSide& app) {
    app.read_head();
    app.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 7\r\n\r\ntoo big");
    rest = app.read_to_end();
  });
  const auto outcome = ask({.method = http::Method::post, .body = pieces(1, "x", {}, false), .body_length = 100});
  EXPECT_EQ(outcome.status, 413);
  EXPECT_EQ(outcome.body, "too big");
  EXPECT_EQ(outcome.idle_at_answer, 0u);  // half a request is on it
  application_->stop();
  EXPECT_LE(rest.size(), 1u);
}

TEST_F(HttpRequest, AnEarlyAnswerAndCloseIsStillDelivered) {
  for (const auto* answer :
       {"HTTP/1.1 413 Content Too Large\r\nContent-Length: 7\r\n\r\ntoo big",
        "HTTP/1.1 413 Content Too Large\r\n\r\ntoo big",
        "HTTP/1.1 413 Content Too Large\r\nTransfer-Encoding: chunked\r\n\r\n7\r\ntoo big\r\n0\r\n\r\n"}) {
    home_.reset();
    serve([answer](AppSide& app) {
      app.read_head();
      app.send(answer);
    });  // closes with most of the request unread
    const auto body = pieces(100, std::string(100'000, 'x'));
    const auto outcome = ask({.method = http::Method::post, .body = body, .body_length = 10'000'000});
    ASSERT_FALSE(outcome.failure) << outcome.failure->error.message;
    EXPECT_FALSE(outcome.broken) << outcome.broken->message;
    EXPECT_EQ(outcome.status, 413) << answer;
    EXPECT_EQ(outcome.body, "too big") << answer;
    EXPECT_EQ(home_->idle(), 0u);
  }
}

TEST_F(HttpRequest, ClosedWithoutAnAnswerWithinTheBody) {
  serve([](AppSide& app) {
    app.read_head();
    app.read(1000);
  });
  const auto outcome =
      ask({.method = http::Method::post, .body = pieces(100, std::string(100'000, 'x')), .body_length = 10'000'000});
  ASSERT_TRUE(outcome.failure);
  EXPECT_EQ(outcome.failure->error.code, Code::program_failed);
  EXPECT_TRUE(outcome.failure->came_to_nothing);
  EXPECT_TRUE(outcome.failure->body_touched);
}

// ---- a kept connection at the end of its life ----

TEST_F(HttpRequest, AKeptConnectionThatDiesUnderARequestGivesItBack) {
  serve([](AppSide& app) {
    app.read_head();
    app.send(ok_with("first"));
    app.read_head();  // closes with the second request in hand
  });
  EXPECT_EQ(ask().body, "first");
  const auto outcome = ask({.method = http::Method::put, .body = text("kept")});
  ASSERT_TRUE(outcome.failure);
  EXPECT_TRUE(outcome.failure->came_to_nothing);
  EXPECT_TRUE(outcome.failure->reused);
  EXPECT_FALSE(outcome.failure->body_touched);
  ASSERT_NE(outcome.failure->body.as_bytes(), nullptr);
  EXPECT_EQ(outcome.failure->body.as_bytes()->view, "kept");
  EXPECT_EQ(owner_.gone, 1);  // of the first; the second was given back
}

// ---- the client's faults ----

TEST_F(HttpRequest, AnErrorOfTheBodyIsTheClientsOwn) {
  std::string seen;
  serve([&seen](AppSide& app) {
    app.read_head();
    seen = app.read_to_end();
  });
  const Error error{Code::content_too_large, "the request body is larger than 10 bytes"};
  for (const std::optional<std::uint64_t> length :
       {std::optional<std::uint64_t>{}, std::optional<std::uint64_t>{100}}) {
    const auto outcome = ask({.method = http::Method::post, .body = pieces(2, "abc", error), .body_length = length});
    ASSERT_TRUE(outcome.failure);
    EXPECT_EQ(outcome.failure->error.code, Code::content_too_large);
    EXPECT_TRUE(outcome.failure->body_touched);
    EXPECT_FALSE(outcome.failure->came_to_nothing);
  }
  EXPECT_EQ(owner_.broke, "");
  application_->stop();
  EXPECT_THAT(seen, Not(HasSubstr("0\r\n\r\n")));  // nobody takes it for a whole request
}

TEST_F(HttpRequest, AnErrorOfTheBodyWithinTheAnswer) {
  serve([](AppSide& app) {
    app.read_head();
    app.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    app.read_to_end();
  });
  const Error error{Code::request_timeout, "the request body did not come in time"};
  const auto outcome = ask({.method = http::Method::post, .body = pieces(2, "abc", error), .body_length = 100});
  const auto& told = outcome.failure ? outcome.failure->error : outcome.broken.value();
  EXPECT_EQ(told.code, Code::request_timeout);
  EXPECT_EQ(owner_.broke, "");
}

TEST_F(HttpRequest, ABodyOfAnotherLengthThanAnnounced) {
  serve([](AppSide& app) { app.read_to_end(); });
  auto outcome = ask({.method = http::Method::post, .body = pieces(2, "abc"), .body_length = 100});
  EXPECT_EQ(outcome.failure.value().error.code, Code::internal);
  outcome = ask({.method = http::Method::post, .body = pieces(50, "abc"), .body_length = 100});
  EXPECT_EQ(outcome.failure.value().error.code, Code::internal);
  outcome = ask({.method = http::Method::post, .body = text("abc"), .body_length = 100});
  EXPECT_EQ(outcome.failure.value().error.code, Code::internal);
}

// ---- time ----

TEST_F(HttpRequest, NoAnswerInTime) {
  timeouts_.first_byte = 60ms;
  serve([](AppSide& app) { app.read_to_end(); });
  const auto outcome = ask();
  ASSERT_TRUE(outcome.failure);
  EXPECT_EQ(outcome.failure->error.code, Code::program_timeout);
  EXPECT_EQ(outcome.failure->error.message, "The application did not answer within 0.06 seconds.");
  EXPECT_FALSE(outcome.failure->came_to_nothing);
}

TEST_F(HttpRequest, ASlowHeadIsNoAnswer) {
  timeouts_.first_byte = 100ms;
  serve([](AppSide& app) {
    app.read_head();
    app.send("HTTP/1.1 200 OK\r\n");
    for (int i = 0; app.send("A: b\r\n") && i < 1000; ++i) std::this_thread::sleep_for(20ms);
  });
  EXPECT_EQ(ask().failure.value().error.code, Code::program_timeout);
}

// The time for the first byte begins when the request has been sent: an upload may take longer.
TEST_F(HttpRequest, ALongUploadIsNoSilence) {
  timeouts_.first_byte = 150ms;
  const auto began = net::Clock::now();
  serve([](AppSide& app) {
    app.read_head();
    for (int i = 0; i < 20; ++i) {
      app.read(100'000);
      std::this_thread::sleep_for(20ms);
    }
    app.send(ok_with("ok"));
  });
  const auto outcome =
      ask({.method = http::Method::put, .body = pieces(20, std::string(100'000, 'x')), .body_length = 2'000'000});
  EXPECT_EQ(outcome.body, "ok");
  EXPECT_GT(net::Clock::now() - began, 300ms);
}

TEST_F(HttpRequest, AnApplicationThatTakesNothing) {
  timeouts_.send = 60ms;
  serve([](AppSide& app) {
    pollfd closed{app.fd(), POLLHUP, 0};
    ::poll(&closed, 1, 20'000);
  });
  const auto outcome =
      ask({.method = http::Method::put, .body = pieces(100, std::string(100'000, 'x')), .body_length = 10'000'000});
  ASSERT_TRUE(outcome.failure);
  EXPECT_EQ(outcome.failure->error.code, Code::program_timeout);
  EXPECT_THAT(outcome.failure->error.message, HasSubstr("took nothing of the request for 0.06 seconds"));
}

TEST_F(HttpRequest, SilenceWithinTheAnswer) {
  timeouts_.idle = 60ms;
  serve([](AppSide& app) {
    app.read_head();
    app.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    app.read_to_end();
  });
  const auto outcome = ask();
  EXPECT_EQ(outcome.body, "hello");
  EXPECT_EQ(outcome.broken.value().code, Code::program_timeout);
  EXPECT_THAT(owner_.broke, HasSubstr("fell silent"));
}

TEST_F(HttpRequest, TheDeadlineOfTheWhole) {
  timeouts_.deadline = net::Clock::now() + 80ms;
  serve([](AppSide& app) { app.read_to_end(); });
  EXPECT_EQ(ask().failure.value().error.code, Code::program_timeout);
  // It also ends a request whose body does not come.
  timeouts_.deadline = net::Clock::now() + 80ms;
  EXPECT_EQ(ask({.method = http::Method::post, .body = pieces(1, "x", {}, false)}).failure.value().error.code,
            Code::program_timeout);
  home_.reset();
  serve([](AppSide& app) {
    app.read_head();
    app.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (app.send("1\r\nx\r\n")) std::this_thread::sleep_for(5ms);
  });
  timeouts_.deadline = net::Clock::now() + 80ms;
  EXPECT_EQ(ask().broken.value().code, Code::program_timeout);
}

// ---- letting go ----

// The call is let go of after every number of turns of the loop that it may take: nothing is left behind, and the
// application learns of it.
TEST_F(HttpRequest, LetGoAtAnyPoint) {
  std::atomic<int> ended = 0;
  serve([&ended](AppSide& app) {
    app.read_head();
    app.read(300'000);
    app.send("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n");
    app.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 5; ++i) {
      app.send("3\r\nabc\r\n");
      app.read(100'000);
    }
    app.send("0\r\n\r\n");
    app.read_to_end();
    ++ended;
  });
  int finished = 0;
  for (int turns = 0; finished < 5 && turns < 2000; ++turns) {
    Outcome outcome;
    {
      net::TaskGroup group;
      loop_.context().restart();
      group.start(ask_for({.method = http::Method::post, .body = pieces(8, std::string(100'000, 'x'))}, outcome));
      for (int i = 0; i < turns && group.size() > 0; ++i) loop_.context().run_one_for(100ms);
      if (group.size() == 0) ++finished;
    }
    EXPECT_EQ(owner_.gone + (outcome.failure && outcome.failure->owner ? 1 : 0), owner_.made) << turns;
    home_->close_idle();
  }
  EXPECT_EQ(finished, 5);
  home_.reset();
  application_->stop();
  EXPECT_EQ(ended, application_->accepted());
}

}  // namespace
}  // namespace fivefold::upstream
