// A request's body that is still being read while its response goes out, as an application behind the server does it;
// and what stands behind a response's body.
#include "serve/session_rig_test.h"

namespace fivefold::serve {
namespace {

// Reads the request in a coroutine of its own and gives back each piece as it comes.
class EchoBody final : public exchange::BodySource {
 public:
  enum class Until : std::uint8_t { the_end, the_first_piece, let_go };
  EchoBody(exchange::Body request, net::Loop& loop, Until until, std::atomic<int>& gone)
      : request_(std::move(request)), until_(until), gone_(gone), came_(loop) {
    reader_ = net::Running(read());
  }
  ~EchoBody() override { ++gone_; }

  net::Task<Result<exchange::Chunk>> next() override {
    if (given_ > 0 && until_ == Until::the_first_piece) co_return exchange::Chunk();
    if (given_ > 0 && until_ == Until::let_go) reader_ = {};
    while (pieces_.empty() && !ended_ && !failed_) {
      co_await came_.wait();
      came_.reset();
    }
    if (failed_) co_return std::unexpected(*failed_);
    piece_ = std::exchange(pieces_, {});
    ++given_;
    co_return exchange::Chunk(piece_);
  }

 private:
  net::Task<void> read() {
    while (true) {
      auto chunk = co_await request_.next();
      if (!chunk) {
        failed_ = chunk.error();
      } else if (chunk->empty()) {
        ended_ = true;
      } else {
        pieces_ += *chunk;
      }
      came_.set();
      if (failed_ || ended_) co_return;
    }
  }

  exchange::Body request_;
  Until until_;
  std::atomic<int>& gone_;
  std::string pieces_, piece_;
  int given_ = 0;
  bool ended_ = false;
  std::optional<Error> failed_;
  net::Event came_;
  net::Running reader_;
};

class WithTrailers final : public exchange::BodySource {
 public:
  WithTrailers() {
    trailers_.add("X-Checksum", "17");
    for (const char* name : {"Content-Length", "Transfer-Encoding", "Host", "Set-Cookie", "Authorization", "Location",
                             "Trailer", "Content-Type"})
      trailers_.add(name, "1");
    trailers_.add("Content-Digest", "sha-256=:abc:");
  }
  net::Task<Result<exchange::Chunk>> next() override {
    co_return std::exchange(said_, true) ? exchange::Chunk() : exchange::Chunk("bbb");
  }
  const http::Headers* trailers() const override { return said_ ? &trailers_ : nullptr; }

 private:
  http::Headers trailers_;
  bool said_ = false;
};

class DuplexHandler final : public exchange::Handler {
 public:
  explicit DuplexHandler(std::atomic<int>& gone) : gone_(gone) {}
  net::Task<Result<exchange::Response>> handle(exchange::Request request, exchange::Exchange& exchange) override {
    exchange::Response response;
    response.headers.add("Content-Type", "text/plain");
    using Until = EchoBody::Until;
    if (request.path == "/trailers") {
      response.body = exchange::Body::stream(std::make_unique<WithTrailers>());
    } else if (request.path == "/plain") {
      response.body = exchange::Body::text("plain");
    } else {
      const auto until = request.path == "/first"  ? Until::the_first_piece
                         : request.path == "/deaf" ? Until::let_go
                                                   : Until::the_end;
      response.body = exchange::Body::stream(
          std::make_unique<EchoBody>(std::move(request.body), exchange.world.loop, until, gone_));
    }
    co_return response;
  }

 private:
  std::atomic<int>& gone_;
};

class DuplexTest : public SessionFixture {
 protected:
  DuplexTest() { server_.timeouts.body = std::chrono::seconds(20); }
  ~DuplexTest() override { stop(); }
  std::shared_ptr<exchange::Handler> make_handler() override { return std::make_shared<DuplexHandler>(gone_); }
  std::atomic<int> gone_ = 0;
};

constexpr std::string_view kPost = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

TEST_F(DuplexTest, EachPieceComesBackBeforeTheNextIsSent) {
  connect();
  send(kPost);
  EXPECT_TRUE(receive("\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
  for (const std::string piece : {"one", "two", "three"}) {
    send(std::to_string(piece.size()) + "\r\n" + piece + "\r\n");
    EXPECT_EQ(receive(piece + "\r\n"), std::to_string(piece.size()) + "\r\n" + piece + "\r\n");
  }
  send("0\r\n\r\n");
  EXPECT_EQ(receive(), "0\r\n\r\n");
}

TEST_F(DuplexTest, TheConnectionGoesOnAfterwards) {
  connect();
  send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
  receive("abc\r\n");
  send("defGET /plain"s + std::string(kClose));
  const auto rest = receive();
  EXPECT_TRUE(rest.starts_with("3\r\ndef\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n")) << rest;
  EXPECT_TRUE(rest.ends_with("\r\n\r\nplain")) << rest;
}

TEST_F(DuplexTest, ContinueIsSentWhileTheResponseWaits) {
  connect();
  send("POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_TRUE(receive("\r\n\r\n").starts_with("HTTP/1.1 100 Continue\r\n\r\n"));
  send("abc");
  EXPECT_TRUE(receive().ends_with("3\r\nabc\r\n0\r\n\r\n"));
}

TEST_F(DuplexTest, AClientThatLeavesWhileItsBodyIsAwaitedEndsTheWork) {
  connect();
  send(std::string(kPost) + "3\r\nabc\r\n");
  receive("abc\r\n");
  ::shutdown(client_, SHUT_RDWR);
  EXPECT_TRUE(eventually([this] { return gone_ == 1; }));
  EXPECT_TRUE(eventually([this] { return counters_.connections_open == 0; }));
}

TEST_F(DuplexTest, AClientThatResetsWhileItsBodyIsAwaitedEndsTheWork) {
  connect(true);
  send(std::string(kPost) + "3\r\nabc\r\n");
  receive("abc\r\n");
  const linger now{1, 0};
  ::setsockopt(client_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(std::exchange(client_, -1));
  EXPECT_TRUE(eventually([this] { return gone_ == 1; }));
  EXPECT_TRUE(eventually([this] { return counters_.connections_open == 0; }));
}

// The application reads no more of the request, but has not answered to the end: its client's leaving is still noticed.
TEST_F(DuplexTest, AClientThatLeavesAfterItsBodyWasLetGoOfEndsTheWork) {
  connect();
  send("POST /deaf HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  receive("abc\r\n");
  ::shutdown(client_, SHUT_RDWR);
  EXPECT_TRUE(eventually([this] { return gone_ == 1; }));
}

TEST_F(DuplexTest, AResponseThatEndsEarlyLeavesTheRestToBeReadAway) {
  connect();
  send("POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 27\r\n\r\nabc");
  EXPECT_TRUE(receive("0\r\n\r\n").ends_with("3\r\nabc\r\n0\r\n\r\n"));
  EXPECT_TRUE(eventually([this] { return gone_ == 1; }));  // also its reader
  send("GET /smuggled HTTP/1.1\r\nGET /plain"s + std::string(kClose));
  const auto rest = receive();
  EXPECT_TRUE(rest.starts_with("HTTP/1.1 200 OK\r\n")) << rest;
  EXPECT_TRUE(rest.ends_with("\r\n\r\nplain")) << rest;
}

TEST_F(DuplexTest, AResponseThatEndsBeforeAChunkedBodyClosesInOrder) {
  connect(true);
  send("POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  const auto answer = receive("0\r\n\r\n");
  EXPECT_TRUE(contains(answer, "Connection: close\r\n")) << answer;
  send("3\r\ndef\r\n");  // still on its way: no reset may take the answer away
  EXPECT_EQ(receive(), "");
}

constexpr std::string_view kTe = " HTTP/1.1\r\nHost: a\r\nConnection: close, TE\r\nTE: gzip;q=0.5 , Trailers\r\n\r\n";

TEST_F(DuplexTest, TrailersFollowTheBody) {
  const auto answer = exchange_once("GET /trailers"s + std::string(kTe));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n3\r\nbbb\r\n0\r\nX-Checksum: 17\r\nContent-Digest: sha-256=:abc:\r\n\r\n"))
      << answer;
}

TEST_F(DuplexTest, NoTrailersForWhomDoesNotLookAtThem) {
  EXPECT_TRUE(exchange_once("GET /trailers"s + std::string(kClose)).ends_with("\r\n\r\n3\r\nbbb\r\n0\r\n\r\n"));
}

TEST_F(DuplexTest, NoTrailersWithoutChunks) {
  EXPECT_TRUE(exchange_once("GET /trailers HTTP/1.0\r\nTE: trailers\r\n\r\n").ends_with("\r\n\r\nbbb"));
}

}  // namespace
}  // namespace fivefold::serve
