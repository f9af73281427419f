// Requests and their answers on one connection: framing, errors, pipelining, clients that leave.
#include "serve/session_rig_test.h"

namespace fivefold::serve {
namespace {

// Yields "one", "two" and ends, or fails in between.
class TwoChunks final : public exchange::BodySource {
 public:
  explicit TwoChunks(bool fails) : fails_(fails) {}
  net::Task<Result<exchange::Chunk>> next() override {
    ++calls_;
    if (calls_ == 1) co_return exchange::Chunk("one");
    if (fails_) co_return fail(Code::program_failed, "broke");
    co_return calls_ == 2 ? exchange::Chunk("two") : exchange::Chunk();
  }

 private:
  bool fails_;
  int calls_ = 0;
};

class TestHandler final : public exchange::Handler {
 public:
  explicit TestHandler(std::atomic<bool>& left) : left_(left) {}
  net::Task<Result<exchange::Response>> handle(exchange::Request request, exchange::Exchange& exchange) override {
    exchange::Response response;
    if (request.path == "/stream" || request.path == "/broken") {
      response.body = exchange::Body::stream(std::make_unique<TwoChunks>(request.path == "/broken"));
    } else if (request.path == "/ignore") {
      response.body = exchange::Body::text("ignored");
    } else if (request.path == "/wait") {
      struct Flag {
        std::atomic<bool>& flag;
        ~Flag() { flag = true; }
      } flag{left_};
      co_await net::sleep_until(exchange.world.loop, exchange.world.loop.now() + std::chrono::seconds(30));
    } else if (request.path == "/throw") {
      throw std::runtime_error("a bug");
    } else if (request.path == "/short-wait") {
      co_await net::sleep_until(exchange.world.loop, exchange.world.loop.now() + milliseconds(150));
      response.body = exchange::Body::text("waited");
    } else if (request.path == "/who") {
      response.body = exchange::Body::text("client " + request.peer.address);
    } else if (request.path == "/again-who") {
      co_return co_await exchange.redirect_locally("/who");
    } else if (request.path == "/again") {
      co_return co_await exchange.redirect_locally("/echo?redirected");
    } else if (request.path == "/forever") {
      co_return co_await exchange.redirect_locally("/forever");
    } else {
      auto body = co_await exchange::read_all(request.body, 1 << 20);
      if (!body) co_return std::unexpected(std::move(body.error()));
      response.body =
          exchange::Body::text(fmt::format("{} {} [{}]", request.head.method_text, request.head.target, *body));
    }
    co_return response;
  }

 private:
  std::atomic<bool>& left_;
};

class SessionTest : public SessionFixture {
 protected:
  std::shared_ptr<exchange::Handler> make_handler() override { return std::make_shared<TestHandler>(client_left_); }
  std::atomic<bool> client_left_ = false;
};

TEST_F(SessionTest, AnswersAndCloses) {
  const auto answer = exchange_once("GET /echo"s + std::string(kClose));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_TRUE(contains(answer, "Content-Length: 12\r\n")) << answer;
  EXPECT_TRUE(contains(answer, "Connection: close\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\nGET /echo []")) << answer;
}

TEST_F(SessionTest, PipelinedRequestsAreAnsweredInOrder) {
  const auto answer = exchange_once(
      "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3"s +
      std::string(kClose));
  const auto one = answer.find("POST /1 [abc]"), two = answer.find("GET /2 []"), three = answer.find("GET /3 []");
  EXPECT_TRUE(one < two && two < three && three != std::string::npos) << answer;
}

TEST_F(SessionTest, AChunkedBodyIsDecoded) {
  EXPECT_TRUE(contains(exchange_once("POST /c HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: "
                                     "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
                       "[abcde]"));
}

TEST_F(SessionTest, ContinueIsSentWhenTheBodyIsFirstRead) {
  connect();
  send("POST /c HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(receive("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  send("ok");
  EXPECT_TRUE(contains(receive(), "[ok]"));
}

TEST_F(SessionTest, NoContinueWhenTheBodyIsNotWanted) {
  connect();
  send("POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  const auto answer = receive("ignored");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_TRUE(contains(answer, "Connection: close\r\n")) << answer;
}

TEST_F(SessionTest, AnUnreadBodyDoesNotBecomeARequest) {
  const auto answer =
      exchange_once("POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 24\r\n\r\nGET /smuggled HTTP/1.1\r\n"s +
                    "GET /next"s + std::string(kClose));
  EXPECT_FALSE(contains(answer, "smuggled")) << answer;
  EXPECT_TRUE(contains(answer, "GET /next []")) << answer;
}

TEST_F(SessionTest, StreamsAreChunkedAndEndProperly) {
  EXPECT_TRUE(
      exchange_once("GET /stream"s + std::string(kClose)).ends_with("\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"));
}

TEST_F(SessionTest, StreamsToHttp10AreEndedByTheClose) {
  const auto answer = exchange_once("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_TRUE(answer.ends_with("\r\n\r\nonetwo")) << answer;
  EXPECT_FALSE(contains(answer, "chunked"));
}

TEST_F(SessionTest, AStreamThatBreaksIsNotEndedCleanly) {
  const auto answer = exchange_once("GET /broken"s + std::string(kClose));
  EXPECT_TRUE(contains(answer, "3\r\none\r\n")) << answer;
  EXPECT_FALSE(contains(answer, "0\r\n\r\n")) << answer;
}

TEST_F(SessionTest, HeadHasTheHeadersAndNoBody) {
  const auto answer = exchange_once("HEAD /ignore"s + std::string(kClose));
  EXPECT_TRUE(contains(answer, "Content-Length: 7\r\n")) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
}

TEST_F(SessionTest, TooLargeABodyIsRefusedBeforeItIsRead) {
  const auto answer = exchange_once("POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 413 ")) << answer;
  EXPECT_TRUE(contains(answer, "Connection: close\r\n"));
}

TEST_F(SessionTest, AChunkThatAnnouncesTooMuchIsRefusedAtOnce) {
  const auto answer =
      exchange_once("POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 413 ")) << answer;
}

TEST_F(SessionTest, AHeadRequestThatIsRefusedGetsNoBody) {
  const auto answer = exchange_once("HEAD * HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
}

TEST_F(SessionTest, EveryResponseHasAnIdOfItsOwn) {
  const auto answer = exchange_once("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2"s + std::string(kClose));
  const auto first = answer.find("X-Request-Id: "), second = answer.rfind("X-Request-Id: ");
  ASSERT_TRUE(first != std::string::npos && second != first) << answer;
  EXPECT_NE(answer.substr(first, 46), answer.substr(second, 46));
}

TEST_F(SessionTest, ABodyThatDoesNotComeIs408) {
  EXPECT_TRUE(
      exchange_once("POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc").starts_with("HTTP/1.1 408 "));
}

TEST_F(SessionTest, AHeadThatDoesNotEndIs408) {
  EXPECT_TRUE(exchange_once("GET / HTTP/1.1\r\nHo").starts_with("HTTP/1.1 408 "));
}

TEST_F(SessionTest, AnIdleConnectionIsClosed) {
  connect();
  send("GET /ignore HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(receive().ends_with("ignored"));
}

TEST_F(SessionTest, GarbageIs400AndClose) {
  const auto answer = exchange_once("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\x01\x02 garbage\r\n\r\n");
  EXPECT_TRUE(contains(answer, "GET /1 []")) << answer;
  EXPECT_TRUE(contains(answer, "HTTP/1.1 400 ")) << answer;
}

TEST_F(SessionTest, AClientThatLeavesEndsTheWork) {
  connect();
  send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
  while (counters_.requests_active == 0) std::this_thread::yield();
  ::shutdown(client_, SHUT_RDWR);
  const auto give_up = net::Clock::now() + std::chrono::seconds(10);
  while (!client_left_ && net::Clock::now() < give_up) std::this_thread::yield();
  EXPECT_TRUE(client_left_);
}

TEST_F(SessionTest, AnExceptionIsA500AndTheConnectionLives) {
  const auto answer = exchange_once("GET /throw HTTP/1.1\r\nHost: a\r\n\r\nGET /after"s + std::string(kClose));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 500 ")) << answer;
  EXPECT_TRUE(contains(answer, "GET /after []"));
}

TEST_F(SessionTest, LocalRedirectsGoThroughTheMappingAgainAndEndInTime) {
  const auto answer = exchange_once("POST /again HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxyGET /forever"s +
                                    std::string(kClose));
  EXPECT_TRUE(contains(answer, "GET /echo?redirected []")) << answer;
  EXPECT_TRUE(contains(answer, "HTTP/1.1 500 ")) << answer;
}

TEST_F(SessionTest, ALocalRedirectIsForTheSameClient) {
  EXPECT_TRUE(contains(exchange_once("GET /again-who"s + std::string(kClose)), "client 192.0.2.7"));
}

TEST_F(SessionTest, ARequestThatArrivedDuringAnotherLeavesNothingBehind) {
  connect();
  send("GET /short-wait HTTP/1.1\r\nHost: a\r\n\r\n");
  while (counters_.requests_active == 0) std::this_thread::yield();
  send("GET /ignore HTTP/1.1\r\nHost: a\r\n\r\n");
  // Both are answered; then the connection is idle, and closed as such: without a 408 that nobody asked for.
  const auto answers = receive();
  EXPECT_TRUE(contains(answers, "waited")) << answers;
  EXPECT_TRUE(answers.ends_with("ignored")) << answers;
}

TEST_F(SessionTest, ABreakIsAResetEvenWithInputLeft) {
  connect(true);
  send("GET /broken HTTP/1.0\r\n\r\nmore that nobody reads");
  std::string all;
  ssize_t got = 0;
  do {
    std::array<char, 4096> buffer{};
    pollfd wait{client_, POLLIN, 0};
    ASSERT_EQ(::poll(&wait, 1, 10000), 1);
    got = ::recv(client_, buffer.data(), buffer.size(), 0);
    if (got > 0) all.append(buffer.data(), static_cast<std::size_t>(got));
  } while (got > 0);
  EXPECT_EQ(got, -1) << "the response to HTTP/1.0 looks complete";
}

TEST_F(SessionTest, OptionsAsteriskIsTheServersOwn) {
  const auto answer = exchange_once("OPTIONS *"s + std::string(kClose));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 204 ")) << answer;
  EXPECT_TRUE(contains(answer, "Allow: GET, ")) << answer;
}

}  // namespace
}  // namespace fivefold::serve
