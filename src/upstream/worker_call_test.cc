// One request to a worker: what it is sent, what is made of its frames, and how long it stays leased.
#include "upstream/worker_call.h"

#include <sys/socket.h>

#include <cstring>
#include <future>

#include "exchange/body.h"
#include "upstream/call_rig_test.h"

namespace fivefold::upstream {
namespace {

using gateway::worker::Frame;
using gateway::worker::FrameHeader;
using gateway::worker::RequestHeader;
namespace worker = gateway::worker;

struct Heard {
  FrameHeader header;
  std::string content;
  bool ended = false;  // the channel has
  RequestHeader request() const {
    RequestHeader r;
    std::memcpy(&r, content.data(), sizeof r);
    return r;
  }
  std::string variables() const { return content.substr(sizeof(RequestHeader), request().variables_size); }
  std::string body() const { return content.substr(sizeof(RequestHeader) + request().variables_size); }
};

// The worker's end of a channel, on a thread of its own.
class WorkerSide : public AppSide {
 public:
  using AppSide::AppSide;
  Heard hear() {
    Heard heard;
    const auto head = read(sizeof(FrameHeader));
    heard.ended = head.size() < sizeof(FrameHeader);
    if (heard.ended) return heard;
    std::memcpy(&heard.header, head.data(), sizeof heard.header);
    heard.content = read(heard.header.size);
    if (heard.header.kind == Frame::request) stream = heard.header.stream;
    return heard;
  }
  static std::string frame(std::uint32_t stream, Frame kind, std::string_view content = {}, std::uint8_t flags = 0) {
    const FrameHeader header{
        .size = static_cast<std::uint32_t>(content.size()), .kind = kind, .flags = flags, .stream = stream};
    return std::string(reinterpret_cast<const char*>(&header), sizeof header).append(content);
  }
  bool say(Frame kind, std::string_view content = {}, std::uint8_t flags = 0) {
    return send(frame(stream, kind, content, flags));
  }
  bool want(std::uint32_t bytes) { return say(Frame::want, {reinterpret_cast<const char*>(&bytes), sizeof bytes}); }
  // A whole answer in one write.
  bool answer(std::string_view body, std::string_view head = "Status: 200 OK\r\nContent-Type: text/plain\r\n") {
    return send(frame(stream, Frame::head, head) + frame(stream, Frame::output, body) +
                frame(stream, Frame::end, {}, worker::kIdle));
  }
  std::uint32_t stream = 0;
};

struct LeaseState {
  std::atomic<bool> gone = false;
  std::atomic<bool> leaves = false;
  std::string broke, died, killed, log;
};

class FakeLease final : public WorkerOwner {
 public:
  explicit FakeLease(LeaseState& state) : state_(state) {}
  ~FakeLease() override { state_.gone = true; }
  void died(const Error& error) override { state_.died += error.message; }
  void broke(const Error& error) override { state_.broke += error.message; }
  void log(int severity, std::string_view text, bool ends) override {
    state_.log += std::string(text) + (ends ? "<" + std::to_string(severity) + ">" : "");
  }
  void outlives_request() override {}
  void leaves() override { state_.leaves = true; }
  void kill(std::string reason) override { state_.killed += reason; }

 private:
  LeaseState& state_;
};

struct Result_ {
  std::optional<WorkerFailure> failure;
  Answer answer;
  std::string body;
  std::optional<Error> broken;
  bool whole = false;
  bool gone_at_answer = false;
};

class WorkerCallTest : public CallRig {
 protected:
  ~WorkerCallTest() override {
    world_.background.clear();
    channel_.reset();
    if (thread_.joinable()) thread_.join();
  }
  void worker(std::function<void(WorkerSide&)> script) {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    channel_.emplace(loop_, UniqueFd(pair[0]), 1000);
    thread_ = std::thread([script = std::move(script), fd = pair[1]] {
      WorkerSide side(fd);
      script(side);
    });
  }
  WorkerCall make(exchange::Body body = {}, std::optional<std::uint64_t> length = 0) {
    return {.channel = *channel_,
            .owner = std::make_unique<FakeLease>(lease_),
            .exchange = exchange_,
            .body = std::move(body),
            .body_length = length,
            .hard = hard_,
            .head_limit = 1000,
            .cgi_redirects = cgi_redirects_,
            .buffer = buffer_};
  }
  static process::StringBlock variables() {
    process::StringBlock block;
    block.add("PATH_INFO", "/x");
    return block;
  }
  static net::Task<void> call(WorkerCallTest& test, WorkerCall prepared, Result_& result) {
    auto got = co_await call_worker(std::move(prepared), variables());
    result.gone_at_answer = test.lease_.gone;
    if (!got) {
      result.failure = std::move(got.error());
      co_return;
    }
    result.answer = std::move(*got);
    result.whole = result.answer.body.as_bytes() != nullptr || result.answer.body.empty();
    if (test.before_body_) co_await test.before_body_(test);
    while (test.read_body_) {
      auto chunk = co_await result.answer.body.next();
      if (!chunk) result.broken = std::move(chunk.error());
      if (!chunk || chunk->empty()) break;
      result.body.append(*chunk);
    }
    result.answer.body = {};
  }
  Result_ ask(exchange::Body body = {}, std::optional<std::uint64_t> length = 0) {
    Result_ result;
    run(call(*this, make(std::move(body), length), result));
    return result;
  }
  static net::Task<void> until_gone(WorkerCallTest& test) {
    while (!test.lease_.gone) co_await net::sleep_until(test.loop_, net::Clock::now() + 1ms);
  }

  // It hears the end of its channel, and ends.
  static net::Task<void> end_worker(WorkerCallTest& test) {
    ::shutdown(test.channel_->stream()->fd(), SHUT_WR);
    co_return;
  }

  LeaseState lease_;
  std::optional<WorkerChannel> channel_;
  std::thread thread_;
  net::TimePoint hard_ = net::kNever;
  bool cgi_redirects_ = false;
  std::size_t buffer_ = 1024 * 1024;
  bool read_body_ = true;
  net::Task<void> (*before_body_)(WorkerCallTest&) = nullptr;
};

TEST_F(WorkerCallTest, SmallRequestsAndAnswersCrossInOnePieceEach) {
  Heard heard;
  worker([&heard](WorkerSide& side) {
    for (int i = 0; i < 2; ++i) {
      heard = side.hear();
      side.answer("hello", "Status: 201 Created\r\nX-A: b\r\n");
    }
  });
  for (std::uint32_t number = 1; number <= 2; ++number) {
    auto result = ask(exchange::Body::text("body"), 4);
    ASSERT_FALSE(result.failure) << result.failure->error.message;
    EXPECT_EQ(result.answer.status, 201);
    EXPECT_EQ(result.answer.headers.get("X-A"), "b");
    EXPECT_EQ(result.body, "hello");
    EXPECT_TRUE(result.whole) << "its length is known";
    EXPECT_TRUE(result.gone_at_answer) << "the worker is another's already";
    EXPECT_EQ(heard.header.kind, Frame::request);
    EXPECT_EQ(heard.header.stream, number);
    EXPECT_EQ(heard.header.flags, worker::kLast);
    EXPECT_EQ(heard.request().body_length, 4u);
    EXPECT_EQ(heard.variables(), "PATH_INFO=/x\0"s);
    EXPECT_EQ(heard.body(), "body");
  }
}

TEST_F(WorkerCallTest, ALargeBodyIsSentAsItIsAskedFor) {
  const std::string large(300'000, 'b');
  std::string received;
  std::vector<std::size_t> sizes;
  worker([&](WorkerSide& side) {
    auto first = side.hear();
    EXPECT_EQ(first.header.flags, 0);
    EXPECT_EQ(first.request().body_length, 300'000u);
    received = first.body();
    while (true) {
      side.want(50'000);
      std::size_t got = 0;
      bool last = false;
      while (got < 50'000 && !last) {
        const auto more = side.hear();
        EXPECT_EQ(more.header.kind, Frame::body);
        got += more.content.size();
        received += more.content;
        last = more.header.flags & worker::kLast;
      }
      sizes.push_back(got);
      if (last) break;
    }
    side.answer("thanks");
  });
  auto result = ask(exchange::Body::text(large), large.size());
  EXPECT_EQ(result.body, "thanks");
  EXPECT_EQ(received, large);
  for (const auto size : sizes) EXPECT_LE(size, 50'000u);
}

TEST_F(WorkerCallTest, ABodyOfUnknownLengthEndsWithAnEmptyFrame) {
  std::string received;
  worker([&](WorkerSide& side) {
    const auto first = side.hear();
    EXPECT_EQ(first.request().body_length, worker::kUnknownLength);
    side.want(1'000'000);
    for (bool last = false; !last;) {
      const auto more = side.hear();
      received += more.content;
      last = more.ended || (more.header.flags & worker::kLast);
    }
    side.answer("thanks");
  });
  auto result = ask(exchange::Body::stream(std::make_unique<Pieces>(loop_, 3, "piece ")), std::nullopt);
  EXPECT_EQ(result.body, "thanks");
  EXPECT_EQ(received, "piece piece piece ");
}

TEST_F(WorkerCallTest, AnAnswerThatTakesItsTimeIsStreamed) {
  worker([](WorkerSide& side) {
    side.hear();
    side.say(Frame::head, "Status: 200 OK\r\n");
    for (int i = 0; i < 3; ++i) {
      side.say(Frame::output, "part ");
      std::this_thread::sleep_for(10ms);
    }
    side.say(Frame::end, {}, worker::kIdle);
  });
  auto result = ask();
  EXPECT_EQ(result.body, "part part part ");
  EXPECT_FALSE(result.whole);
  EXPECT_FALSE(result.gone_at_answer);
  EXPECT_TRUE(lease_.gone);
}

TEST_F(WorkerCallTest, ASlowReaderDoesNotHoldTheWorker) {
  worker([](WorkerSide& side) {
    side.hear();
    side.say(Frame::head, "Status: 200 OK\r\n");
    for (int i = 0; i < 8; ++i) side.say(Frame::output, std::string(100'000, 'x'));
    side.say(Frame::end, {}, worker::kIdle);
  });
  before_body_ = until_gone;  // hangs unless the lease ends before anybody reads
  auto result = ask();
  EXPECT_EQ(result.body.size(), 800'000u);
  EXPECT_FALSE(result.broken);
}

TEST_F(WorkerCallTest, WhatTheBufferDoesNotHoldWaitsInTheWorker) {
  buffer_ = 100'000;
  worker([](WorkerSide& side) {
    side.hear();
    side.say(Frame::head, "Status: 200 OK\r\n");
    for (int i = 0; i < 50; ++i) side.say(Frame::output, std::string(100'000, 'x'));
    side.say(Frame::end, {}, worker::kIdle);
  });
  auto result = ask();
  EXPECT_EQ(result.body.size(), 5'000'000u);
  EXPECT_TRUE(lease_.gone);
}

TEST_F(WorkerCallTest, TheLeaseLastsUntilTheWorkerIsIdle) {
  std::promise<void> go_on;
  worker([&](WorkerSide& side) {
    side.hear();
    side.send(WorkerSide::frame(1, Frame::head, "Status: 200 OK\r\n") + WorkerSide::frame(1, Frame::output, "done") +
              WorkerSide::frame(1, Frame::end));
    go_on.get_future().wait();
    side.say(Frame::idle);
  });
  auto result = ask();
  EXPECT_EQ(result.body, "done");
  EXPECT_FALSE(result.gone_at_answer);
  EXPECT_FALSE(lease_.gone);
  go_on.set_value();
  run(until_gone(*this));
  EXPECT_TRUE(lease_.gone);
}

TEST_F(WorkerCallTest, AWorkerThatLeavesSaysSo) {
  worker([](WorkerSide& side) {
    side.hear();
    side.send(WorkerSide::frame(1, Frame::head, "Status: 200 OK\r\n") + WorkerSide::frame(1, Frame::output, "bye") +
              WorkerSide::frame(1, Frame::end, {}, worker::kIdle | worker::kLeaving));
  });
  EXPECT_EQ(ask().body, "bye");
  EXPECT_TRUE(lease_.leaves);
  EXPECT_TRUE(lease_.gone);
}

TEST_F(WorkerCallTest, ADeathBeforeTheHeadIsTold) {
  worker([](WorkerSide& side) {
    side.hear();
    side.say(Frame::log, "on my way", 6);
  });
  auto result = ask();
  ASSERT_TRUE(result.failure);
  EXPECT_EQ(result.failure->error.code, Code::program_failed);
  EXPECT_FALSE(result.failure->unread) << "it has had the request";
  EXPECT_THAT(lease_.died, HasSubstr("before it had answered"));
  EXPECT_EQ(lease_.log, "on my way<6>");
  EXPECT_EQ(channel_->stream(), nullptr) << "nothing goes over it any more";
}

TEST_F(WorkerCallTest, AWorkerThatIsGoneHasNotReadTheRequest) {
  worker([](WorkerSide& side) { side.close(); });
  thread_.join();
  auto result = ask(exchange::Body::text("body"), 4);
  ASSERT_TRUE(result.failure);
  EXPECT_TRUE(result.failure->unread);
  EXPECT_EQ(result.failure->body.length(), 4u) << "another worker may have it";
}

TEST_F(WorkerCallTest, ADeathWithinTheAnswerBreaksIt) {
  worker([](WorkerSide& side) {
    side.hear();
    side.say(Frame::head, "Status: 200 OK\r\n");
    side.say(Frame::output, std::string(100'000, 'h'));  // so much is not waited for
    side.hear();
  });
  before_body_ = end_worker;
  auto result = ask();
  EXPECT_EQ(result.body.size(), 100'000u);
  ASSERT_TRUE(result.broken);
  EXPECT_EQ(result.broken->code, Code::program_failed);
  EXPECT_THAT(lease_.broke, HasSubstr("in the midst of its answer"));
}

TEST_F(WorkerCallTest, AnAnswerThatIsNotWholeIsNoAnswer) {
  struct Case {
    std::uint8_t flags;
    Code code;
    const char* words;
  };
  for (const auto& each : {Case{worker::kFailed, Code::internal, "why"},
                           Case{worker::kFailed | worker::kTimedOut, Code::program_timeout, "why"},
                           Case{worker::kBroken, Code::program_failed, "why"}, Case{0, Code::program_failed, "why"}}) {
    worker([&each](WorkerSide& side) {
      side.hear();
      side.say(Frame::end, "why", each.flags | worker::kIdle);
    });
    auto result = ask();
    ASSERT_TRUE(result.failure);
    EXPECT_EQ(result.failure->error.code, each.code) << int{each.flags};
    EXPECT_THAT(result.failure->error.message, HasSubstr(each.words));
    EXPECT_EQ(lease_.killed + lease_.died, "") << "the worker is well";
    EXPECT_TRUE(lease_.gone);
    thread_.join();
  }
}

TEST_F(WorkerCallTest, LessThanTheAnnouncedLengthBreaksTheAnswer) {
  worker([](WorkerSide& side) {
    side.hear();
    side.answer("four", "Status: 200 OK\r\nContent-Length: 5\r\n");
  });
  auto result = ask();
  ASSERT_TRUE(result.failure);
  EXPECT_THAT(result.failure->error.message, HasSubstr("1 bytes before the length"));
}

TEST_F(WorkerCallTest, MoreThanTheAnnouncedLengthIsCut) {
  worker([](WorkerSide& side) {
    side.hear();
    side.answer("four and more", "Status: 200 OK\r\nContent-Length: 4\r\n");
  });
  EXPECT_EQ(ask().body, "four");
}

TEST_F(WorkerCallTest, ALocationIsAFieldUnlessTheProgramIsACgiScript) {
  worker([](WorkerSide& side) {
    for (int i = 0; i < 2; ++i) {
      side.hear();
      side.answer("made", "Status: 200 OK\r\nLocation: /new\r\n");
    }
  });
  auto result = ask();
  EXPECT_EQ(result.answer.status, 200);
  EXPECT_EQ(result.answer.headers.get("Location"), "/new");
  EXPECT_EQ(result.body, "made");
  cgi_redirects_ = true;
  EXPECT_EQ(ask().answer.local_target, "/new");
}

TEST_F(WorkerCallTest, AClientThatLeavesHasTheWorkerToldSo) {
  std::vector<Frame> heard;
  worker([&heard](WorkerSide& side) {
    side.hear();
    side.say(Frame::head, "Status: 200 OK\r\n");
    side.say(Frame::output, std::string(100'000, 'x'));
    heard.push_back(side.hear().header.kind);
    side.say(Frame::output, "nobody reads this");
    side.say(Frame::end, {}, worker::kIdle);
  });
  read_body_ = false;
  ask();
  run(until_gone(*this));
  EXPECT_EQ(heard, std::vector<Frame>{Frame::abort});
  EXPECT_NE(channel_->stream(), nullptr) << "the next request goes over it";
}

TEST_F(WorkerCallTest, AClientThatLeavesBeforeTheAnswerToo) {
  std::vector<Frame> heard;
  std::promise<void> has_request;
  worker([&](WorkerSide& side) {
    side.hear();
    has_request.set_value();
    heard.push_back(side.hear().header.kind);
    heard.push_back(side.hear().header.kind);
    side.say(Frame::end, {}, worker::kBroken | worker::kIdle);
  });
  Result_ result;
  {
    auto task = call(
        *this, make(exchange::Body::stream(std::make_unique<Pieces>(loop_, 1, "x", std::nullopt, false)), 10), result);
    task.handle().resume();
    has_request.get_future().wait();
  }
  run(until_gone(*this));
  EXPECT_EQ(heard, (std::vector<Frame>{Frame::body_broken, Frame::abort}));
}

TEST_F(WorkerCallTest, AFrameThatWasBegunIsFinishedBeforeTheNextRequest) {
  const std::string large(4'000'000, 'b');
  worker([&](WorkerSide& side) {
    side.hear();
    side.want(4'000'000);
    // More than the socket holds is on its way when this is said.
    std::this_thread::sleep_for(20ms);
    side.answer("enough");
    while (true) {
      const auto heard = side.hear();
      if (heard.ended) return;
      if (heard.header.kind == Frame::request) break;
      EXPECT_EQ(heard.header.stream, 1u);
    }
    side.answer("second");
  });
  EXPECT_EQ(ask(exchange::Body::text(large), large.size()).body, "enough");
  run(until_gone(*this));
  EXPECT_EQ(ask().body, "second");
}

TEST_F(WorkerCallTest, WhatComesForARequestThatIsOverIsDropped) {
  worker([](WorkerSide& side) {
    side.hear();
    side.answer("first");
    side.say(Frame::output, "late");
    side.say(Frame::log, "late");
    side.hear();
    side.answer("second");
  });
  EXPECT_EQ(ask().body, "first");
  EXPECT_EQ(ask().body, "second");
  EXPECT_EQ(lease_.log, "");
}

TEST_F(WorkerCallTest, NonsenseEndsTheWorker) {
  using Script = void (*)(WorkerSide&);
  for (const Script script : {Script([](WorkerSide& side) { side.say(Frame::output, "no head"); }),
                              Script([](WorkerSide& side) { side.say(Frame::request, "?"); }),
                              Script([](WorkerSide& side) { side.say(Frame::idle); })}) {
    worker([script](WorkerSide& side) {
      side.hear();
      script(side);
      side.hear();
    });
    auto result = ask();
    ASSERT_TRUE(result.failure);
    EXPECT_EQ(result.failure->error.code, Code::program_failed);
    EXPECT_NE(lease_.killed, "");
    EXPECT_EQ(channel_->stream(), nullptr);
    thread_.join();
    lease_.killed.clear();
  }
}

TEST_F(WorkerCallTest, AHeadThatCannotBeSentIsAFailureOfTheScriptAlone) {
  for (const std::string head :
       {"Status: 200 OK\r\n\r\nX: y\r\n", "Status: 200 OK\r\nbad line\r\n", "Status: 99\r\n"}) {
    worker([head](WorkerSide& side) {
      side.hear();
      side.answer("x", head);
    });
    auto result = ask();
    ASSERT_TRUE(result.failure) << head;
    EXPECT_EQ(result.failure->error.code, Code::program_failed);
    EXPECT_EQ(lease_.killed, "");
    thread_.join();
  }
}

TEST_F(WorkerCallTest, AWorkerPastItsHardLimitIsKilled) {
  hard_ = net::Clock::now() + 50ms;
  worker([](WorkerSide& side) {
    side.hear();
    side.hear();
  });
  auto result = ask();
  ASSERT_TRUE(result.failure);
  EXPECT_EQ(result.failure->error.code, Code::program_timeout);
  EXPECT_THAT(lease_.killed, HasSubstr("(timeout)"));
}

TEST_F(WorkerCallTest, HintsGoAheadOfTheAnswer) {
  worker([](WorkerSide& side) {
    side.hear();
    side.say(Frame::interim, "Status: 103\r\nLink: </a.css>; rel=preload\r\n");
    side.say(Frame::interim, "Status: 101\r\nUpgrade: x\r\n");
    side.answer("page");
  });
  EXPECT_EQ(ask().body, "page");
  EXPECT_EQ(exchange_.interim, "103|Link: </a.css>; rel=preload\r\n");
}

TEST_F(WorkerCallTest, ABodyThatBreaksEndsTheRequest) {
  std::vector<Frame> heard;
  worker([&heard](WorkerSide& side) {
    side.hear();
    side.want(100);
    while (true) {
      const auto frame = side.hear();
      if (frame.ended) return;
      heard.push_back(frame.header.kind);
      if (frame.header.kind == Frame::abort) break;
    }
    side.say(Frame::end, {}, worker::kBroken | worker::kIdle);
  });
  auto result =
      ask(exchange::Body::stream(std::make_unique<Pieces>(loop_, 1, "x", Error{Code::request_timeout, "slow"})), 10);
  ASSERT_TRUE(result.failure);
  EXPECT_EQ(result.failure->error.code, Code::request_timeout);
  run(until_gone(*this));
  EXPECT_EQ(heard, (std::vector<Frame>{Frame::body, Frame::body_broken, Frame::abort}));
}

}  // namespace
}  // namespace fivefold::upstream
