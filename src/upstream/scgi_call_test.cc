#include "upstream/cgi_rig_test.h"

namespace fivefold::upstream {
namespace {

class ScgiCall : public CgiCallRig {
 protected:
  // Reads a request head, then as much body as it says, then sends `response` and closes.
  void answer_scgi(std::string response) {
    serve([this, response](AppSide& app) {
      std::string size;
      for (std::string byte = app.read(1); byte != ":" && !byte.empty(); byte = app.read(1)) size += byte;
      head_ = app.read(static_cast<std::size_t>(std::atoi(size.c_str())) + 1);
      body_ = app.read(static_cast<std::size_t>(std::atoi(head_.c_str() + 15)));
      app.send(response);
    });
  }
  void answer_uwsgi(std::string response, std::size_t body) {
    serve([this, response, body](AppSide& app) {
      const auto header = app.read(4);
      head_ = app.read(static_cast<std::uint8_t>(header[1]) | static_cast<std::uint8_t>(header[2]) << 8);
      body_ = app.read(body);
      app.send(response);
    });
  }
  net::Task<void> too_large(std::optional<CallFailure>& failure) {
    auto call = co_await prepare();
    process::StringBlock environment;
    environment.add("HTTP_COOKIE", std::string(70'000, 'c'));
    auto answer = co_await call_uwsgi(std::move(*call), std::move(environment));
    if (!answer) failure.emplace(std::move(answer.error()));
  }
  std::string head_, body_;
};

TEST_F(ScgiCall, Answer) {
  answer_scgi("Status: 201 Made\r\nContent-Type: text/plain\r\n\r\nhello");
  const auto out = call(call_scgi);
  ASSERT_FALSE(out.failure) << out.failure->error.message;
  EXPECT_EQ(out.status, 201);
  EXPECT_EQ(out.reason, "Made");
  EXPECT_EQ(out.body, "hello");
  EXPECT_EQ(owner_.gone, 1);
  EXPECT_EQ(home_->idle(), 0u);
  EXPECT_EQ(head_, "CONTENT_LENGTH\0000\0SCGI\0001\0SCRIPT_NAME\0/x\0,"s);
}

TEST_F(ScgiCall, WithABody) {
  answer_scgi("\r\nthanks");
  auto out = call(call_scgi, [this](Call& call) {
    with_body(call, exchange::Body::stream(std::make_unique<Pieces>(loop_, 100, std::string(10'000, 'b'))), 1'000'000);
  });
  ASSERT_FALSE(out.failure) << out.failure->error.message;
  EXPECT_EQ(out.body, "thanks");
  application_->stop();
  EXPECT_EQ(body_.size(), 1'000'000u);

  answer_scgi("\r\nthanks");
  out = call(call_scgi, [](Call& call) { with_body(call, exchange::Body::text("in memory"), 9); });
  application_->stop();
  EXPECT_EQ(body_, "in memory");
}

TEST_F(ScgiCall, WholeHttpHead) {
  answer_scgi("HTTP/1.1 418 Teapot\r\nConnection: close\r\nX-A: 1\r\n\r\nshort");
  const auto out = call(call_scgi);
  EXPECT_EQ(out.status, 418);
  EXPECT_EQ(out.reason, "Teapot");
  EXPECT_EQ(out.fields.find("Connection"), std::string::npos);
  EXPECT_EQ(out.body, "short");
}

TEST_F(ScgiCall, LengthCheckedBothWays) {
  answer_scgi("Content-Length: 4\r\n\r\nhello");
  EXPECT_EQ(call(call_scgi).body, "hell");

  answer_scgi("Content-Length: 9\r\n\r\nhello");
  auto out = call(call_scgi);
  // Whether the end comes with the answer or behind it is up to the kernel.
  ASSERT_TRUE(out.failure || out.broken);
  EXPECT_THAT(out.failure ? out.failure->error.message : out.broken->message, HasSubstr("4 bytes before the length"));

  answer_scgi("Content-Length: 300000\r\n\r\n" + std::string(200'000, 'x'));
  out = call(call_scgi);
  ASSERT_TRUE(out.broken);
  EXPECT_EQ(out.broken->code, Code::program_failed);
  EXPECT_THAT(owner_.broke, HasSubstr("100000 bytes before"));
}

TEST_F(ScgiCall, LargeAnswerOfUnknownLength) {
  answer_scgi("\r\n" + std::string(5'000'000, 'x'));
  const auto out = call(call_scgi);
  EXPECT_FALSE(out.whole);
  EXPECT_FALSE(out.length);
  EXPECT_EQ(out.body.size(), 5'000'000u);
  EXPECT_FALSE(out.broken);
  EXPECT_EQ(owner_.gone, 1);
}

TEST_F(ScgiCall, NoAnswer) {
  answer_scgi("");
  auto out = call(call_scgi);
  ASSERT_TRUE(out.failure);
  EXPECT_TRUE(out.failure->came_to_nothing);

  answer_scgi("X-A: 1\r\n");
  out = call(call_scgi);
  ASSERT_TRUE(out.failure);
  EXPECT_FALSE(out.failure->came_to_nothing);
  EXPECT_THAT(out.failure->error.message, HasSubstr("before its response head did"));
}

TEST_F(ScgiCall, BodyOfUnknownLengthIsNotSent) {
  answer_scgi("\r\n");
  const auto out = call(call_scgi, [this](Call& call) {
    with_body(call, exchange::Body::stream(std::make_unique<Pieces>(loop_, 1, "x")), std::nullopt);
  });
  ASSERT_TRUE(out.failure);
  EXPECT_EQ(out.failure->error.code, Code::internal);
  EXPECT_FALSE(out.failure->body_touched);
  EXPECT_FALSE(out.failure->body.empty());
  EXPECT_NE(out.failure->owner, nullptr);
}

TEST_F(ScgiCall, NoBodyForHead) {
  answer_scgi("Content-Length: 77\r\n\r\n");
  const auto out = call(call_scgi, [](Call& call) { call.method = http::Method::head; });
  ASSERT_FALSE(out.failure);
  EXPECT_EQ(out.length, 77u);
  EXPECT_EQ(out.body, "");
  EXPECT_EQ(owner_.gone, 1);
}

TEST_F(ScgiCall, Uwsgi) {
  answer_uwsgi("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nfrom uwsgi", 4);
  const auto out = call(call_uwsgi, [](Call& call) { with_body(call, exchange::Body::text("body"), 4); });
  ASSERT_FALSE(out.failure) << out.failure->error.message;
  EXPECT_EQ(out.status, 200);
  EXPECT_EQ(out.body, "from uwsgi");
  application_->stop();
  EXPECT_EQ(head_, "\13\0SCRIPT_NAME\2\0/x"s);
  EXPECT_EQ(body_, "body");
}

TEST_F(ScgiCall, UwsgiThatDoesNotFit) {
  answer_uwsgi("", 0);
  std::optional<CallFailure> failure;
  run(too_large(failure));
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->error.code, Code::header_too_large);
  EXPECT_NE(failure->owner, nullptr);
}

}  // namespace
}  // namespace fivefold::upstream
