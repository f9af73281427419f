// Responses of applications in HTTP/1.1: how they are framed, what of them is passed on, and when a connection is used
// again.
#include "http/chunked.h"
#include "upstream/http_rig_test.h"

namespace fivefold::upstream {
namespace {

using HttpCall = HttpCallTest;

TEST_F(HttpCall, AShortAnswerComesWholeAndItsConnectionIsHomeAlready) {
  answer_all(ok_with("hello", "Content-Type: text/plain\r\nX-Own: 1\r\n"));
  const auto outcome = ask();
  ASSERT_FALSE(outcome.failure) << outcome.failure->error.message;
  EXPECT_EQ(outcome.status, 200);
  EXPECT_EQ(outcome.reason, "");
  EXPECT_EQ(outcome.fields, "Content-Type: text/plain\r\nX-Own: 1\r\n");
  EXPECT_EQ(outcome.body, "hello");
  EXPECT_EQ(outcome.length, 5u);
  EXPECT_TRUE(outcome.whole);
  EXPECT_EQ(outcome.idle_at_answer, 1u);
  EXPECT_EQ(owner_.gone, 1);
}

TEST_F(HttpCall, ManyRequestsGoOverOneConnection) {
  answer_all(ok_with("hello"));
  for (int i = 0; i < 50; ++i) EXPECT_EQ(ask().body, "hello");
  EXPECT_EQ(application_->accepted(), 1);
}

TEST_F(HttpCall, TheRequestIsWhatItShouldBe) {
  std::string seen;
  serve([&seen](AppSide& app) {
    seen = app.read_head();
    app.send(ok_with(""));
  });
  ask({.target = "/a%20b?c=d", .extra_field = "Accept: text/html"});
  EXPECT_EQ(seen, "GET /a%20b?c=d HTTP/1.1\r\nHost: example.org\r\nAccept: text/html\r\n\r\n");
}

TEST_F(HttpCall, HeadAndBodyInSeparateWritesAreOneAnswer) {
  serve([](AppSide& app) {
    while (!app.read_head().empty()) {
      app.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
      app.send("hello");
    }
  });
  for (int i = 0; i < 20; ++i) {
    const auto outcome = ask();
    EXPECT_EQ(outcome.body, "hello");
    EXPECT_TRUE(outcome.whole);
  }
  EXPECT_EQ(application_->accepted(), 1);
}

TEST_F(HttpCall, ByteByByte) {
  serve([](AppSide& app) {
    while (!app.read_head().empty()) {
      for (const char c :
           "HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nX-T: 1\r\n\r\n"s) {
        app.send({&c, 1});
        std::this_thread::yield();
      }
    }
  });
  for (int i = 0; i < 3; ++i) {
    const auto outcome = ask();
    ASSERT_FALSE(outcome.failure);
    EXPECT_EQ(outcome.reason, "Fine");
    EXPECT_EQ(outcome.body, "hello");
    EXPECT_EQ(outcome.trailers, "X-T: 1\r\n");
  }
  EXPECT_EQ(application_->accepted(), 1);
}

TEST_F(HttpCall, ALongAnswerIsStreamedAndTheConnectionUsedAgain) {
  const std::string body(300'000, 'x');
  answer_all(ok_with(body));
  for (int i = 0; i < 3; ++i) {
    const auto outcome = ask();
    EXPECT_EQ(outcome.body, body);
    EXPECT_EQ(outcome.length, body.size());
    EXPECT_FALSE(outcome.whole);
    EXPECT_EQ(home_->idle(), 1u);
  }
  EXPECT_EQ(application_->accepted(), 1);
}

TEST_F(HttpCall, AChunkedAnswerThatIsThereWholeHasALength) {
  answer_all("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n");
  const auto outcome = ask();
  EXPECT_EQ(outcome.body, "hello");
  EXPECT_EQ(outcome.length, 5u);
  EXPECT_EQ(outcome.fields, "");
  EXPECT_EQ(outcome.idle_at_answer, 1u);
}

// The application waits with each piece until the last one has reached the caller: nothing is held back.
TEST_F(HttpCall, EachPieceOfAStreamIsPassedOnAsItComes) {
  std::atomic<int> seen = 0;
  serve([&seen](AppSide& app) {
    app.read_head();
    app.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 5; ++i) {
      app.send("7\r\ndata: " + std::to_string(i) + "\r\n");
      for (int turns = 0; seen <= i && turns < 10'000; ++turns) std::this_thread::sleep_for(1ms);
    }
    app.send("0\r\n\r\n");
    app.at_end();
  });
  on_chunk_ = [&seen](std::string_view) { ++seen; };
  const auto outcome = ask();
  EXPECT_EQ(outcome.body, "data: 0data: 1data: 2data: 3data: 4");
  EXPECT_EQ(outcome.chunks.size(), 5u);
  EXPECT_EQ(home_->idle(), 1u);
}

TEST_F(HttpCall, SmallChunksThatCameTogetherArePassedOnTogether) {
  std::string body = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 100; ++i) body += "a\r\n0123456789\r\n";
  answer_all(body + "0\r\nServer-Timing: a\r\nContent-Length: 3\r\n\r\n");
  const auto outcome = ask();
  EXPECT_EQ(outcome.body.size(), 1000u);
  EXPECT_LE(outcome.chunks.size(), 3u);
  EXPECT_EQ(outcome.trailers, "Server-Timing: a\r\n");
}

TEST_F(HttpCall, ChunksOfEverySize) {
  std::string wire = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", body;
  for (std::size_t size = 1; size < 200'000; size = size * 3 + 1) {
    const std::string data(size, static_cast<char>('a' + size % 26));
    wire += http::chunk_prefix(size) + data + "\r\n";
    body += data;
  }
  answer_all(wire + "0\r\n\r\n");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask().body, body);
  EXPECT_EQ(application_->accepted(), 1);
}

TEST_F(HttpCall, WithoutALengthTheEndOfTheConnectionIsTheEnd) {
  auto outcome = answered_by("HTTP/1.1 200 OK\r\n\r\nall of it");
  EXPECT_EQ(outcome.body, "all of it");
  EXPECT_FALSE(outcome.broken);
  EXPECT_EQ(outcome.length, std::nullopt);
  EXPECT_EQ(home_->idle(), 0u);
  outcome = answered_by("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold");
  EXPECT_EQ(outcome.body, "old");
  outcome = answered_by("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold");
  EXPECT_EQ(outcome.body, "old");
  EXPECT_EQ(home_->idle(), 0u);
}

TEST_F(HttpCall, Http10ThatKeepsTheConnection) {
  answer_all("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold");
  EXPECT_EQ(ask().body, "old");
  EXPECT_EQ(ask().body, "old");
  EXPECT_EQ(application_->accepted(), 1);
}

TEST_F(HttpCall, ConnectionCloseIsHeeded) {
  answer_all(ok_with("x", "Connection: close\r\n"));
  EXPECT_EQ(ask().body, "x");
  EXPECT_EQ(home_->idle(), 0u);
}

TEST_F(HttpCall, ResponsesWithoutABody) {
  struct Row {
    http::Method method;
    const char* head;
    std::optional<std::uint64_t> length;
  };
  for (const Row& row : {Row{http::Method::head, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", 12},
                         Row{http::Method::head, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", {}},
                         Row{http::Method::get, "HTTP/1.1 204 No Content\r\n\r\n", 0},
                         Row{http::Method::get, "HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n", 0},
                         Row{http::Method::get, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0}}) {
    home_.reset();
    answer_all(row.head);
    for (int i = 0; i < 2; ++i) {
      const auto outcome = ask({.method = row.method});
      ASSERT_FALSE(outcome.failure) << row.head;
      EXPECT_EQ(outcome.body, "") << row.head;
      EXPECT_EQ(outcome.length, row.length) << row.head;
      // What a wrong application sends behind the head of a response to HEAD must not pass for the next response.
      EXPECT_EQ(outcome.idle_at_answer, row.method == http::Method::head ? 0u : 1u) << row.head;
    }
    EXPECT_EQ(application_->accepted(), row.method == http::Method::head ? 2 : 1) << row.head;
  }
}

TEST_F(HttpCall, FieldsOfTheConnectionStayOnIt) {
  const auto outcome = answered_by(
      "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\nX-Kept: "
      "2\r\nConnection: "
      "X-Other\r\nX-Other: 3\r\nUpgrade: h2c\r\nTrailer: X-T\r\nSet-Cookie: a=1\r\nSet-Cookie: "
      "b=2\r\nTransfer-Encoding: "
      "chunked\r\n\r\n0\r\n\r\n");
  EXPECT_EQ(outcome.fields, "X-Kept: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n");
}

TEST_F(HttpCall, AFileToSendIsSaidToTheCallerAlone) {
  auto outcome = answered_by(ok_with("", "X-Sendfile: /srv/a.pdf\r\nContent-Type: application/pdf\r\n"));
  EXPECT_EQ(outcome.send_file, "/srv/a.pdf");
  EXPECT_EQ(outcome.fields, "Content-Type: application/pdf\r\n");
  outcome = answered_by(ok_with("", "X-Accel-Redirect: /protected/a.pdf\r\n"));
  EXPECT_EQ(outcome.send_file, "/protected/a.pdf");
  EXPECT_EQ(outcome.fields, "");
}

TEST_F(HttpCall, InterimResponses) {
  const auto outcome = answered_by(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: close\r\n\r\n"
      "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b.js>\r\n\r\n" +
      ok_with("at last"));
  EXPECT_EQ(outcome.body, "at last");
  EXPECT_EQ(exchange_.interim, "103|Link: </a.css>\r\n102|103|Link: </b.js>\r\n");
}

TEST_F(HttpCall, InterimResponsesWithoutEnd) {
  std::string bytes;
  for (int i = 0; i < 100; ++i) bytes += "HTTP/1.1 100 Continue\r\n\r\n";
  const auto outcome = answered_by(bytes + ok_with("x"));
  ASSERT_TRUE(outcome.failure);
  EXPECT_EQ(outcome.failure->error.code, Code::program_failed);
}

TEST_F(HttpCall, NonsenseIsAFailureOfTheProgram) {
  for (const auto& bytes :
       {"garbage\r\n\r\n"s, "\x15\x03\x01\x00"s, "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx"s,
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc"s, "HTTP/2.0 200 OK\r\n\r\n"s,
        "HTTP/1.1 200 OK\nA: b\n\n"s, "HTTP/1.1 200 OK\r\nA\r\n\r\n"s,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"s,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"s, "HTTP/1.1 200 OK\r\nA: "s + std::string(40'000, 'a'),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"s}) {
    const auto outcome = answered_by(bytes);
    ASSERT_TRUE(outcome.failure) << bytes.substr(0, 60);
    EXPECT_EQ(outcome.failure->error.code, Code::program_failed) << bytes.substr(0, 60);
    EXPECT_FALSE(outcome.failure->came_to_nothing) << bytes.substr(0, 60);
    EXPECT_NE(outcome.failure->owner, nullptr);
    EXPECT_EQ(home_->idle(), 0u);
  }
}

TEST_F(HttpCall, MalformedChunksBreakTheBody) {
  serve([](AppSide& app) {
    app.read_head();
    app.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    app.send(std::string("ffff\r\n") + std::string(0xffff, 'x') + "zz");
  });
  const auto outcome = ask();
  ASSERT_TRUE(outcome.broken || outcome.failure);
  if (outcome.broken) EXPECT_EQ(outcome.broken->code, Code::program_failed);
  if (outcome.broken) EXPECT_NE(owner_.broke, "");
}

TEST_F(HttpCall, BytesBehindTheResponseEndTheConnection) {
  for (const auto& response :
       {ok_with("hello") + "x", ok_with("hello") + ok_with("smuggled"), "HTTP/1.1 204 No Content\r\n\r\nbody"s,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"s}) {
    home_.reset();
    answer_all(response);
    EXPECT_FALSE(ask().failure) << response;
    EXPECT_EQ(home_->idle(), 0u) << response;
    EXPECT_FALSE(ask().failure) << response;
    EXPECT_EQ(application_->accepted(), 2) << response;
  }
}

TEST_F(HttpCall, ClosedBeforeAnAnswerCameToNothing) {
  const auto outcome = answered_by("");
  ASSERT_TRUE(outcome.failure);
  EXPECT_EQ(outcome.failure->error.code, Code::program_failed);
  EXPECT_TRUE(outcome.failure->came_to_nothing);
  EXPECT_FALSE(outcome.failure->reused);
  EXPECT_FALSE(outcome.failure->body_touched);
  EXPECT_NE(outcome.failure->owner, nullptr);
}

TEST_F(HttpCall, ClosedWithinTheHead) {
  const auto outcome = answered_by("HTTP/1.1 200 OK\r\nConte");
  ASSERT_TRUE(outcome.failure);
  EXPECT_FALSE(outcome.failure->came_to_nothing);
  EXPECT_THAT(outcome.failure->error.message, HasSubstr("in the middle of its response's head"));
}

TEST_F(HttpCall, ClosedWithinTheBody) {
  // A short body is waited for, so that the failure can still be answered.
  auto outcome = answered_by("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
  ASSERT_TRUE(outcome.failure);
  EXPECT_EQ(outcome.failure->error.code, Code::program_failed);
  for (const auto& bytes : {"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhello"s,
                            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"s,
                            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello"s}) {
    owner_ = {};
    outcome = answered_by(bytes);
    ASSERT_FALSE(outcome.failure) << bytes;
    EXPECT_EQ(outcome.body, "hello") << bytes;
    ASSERT_TRUE(outcome.broken) << bytes;
    EXPECT_EQ(outcome.broken->code, Code::program_failed) << bytes;
    EXPECT_THAT(owner_.broke, HasSubstr("after 5 bytes of the body")) << bytes;
  }
}

}  // namespace
}  // namespace fivefold::upstream
