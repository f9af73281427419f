// Workers that die, hang or talk nonsense, and answers that are not whole.
#include "upstream/worker_rig_test.h"

namespace fivefold::upstream {
namespace {

using WorkerFailureTest = WorkerCallTest;

TEST_F(WorkerFailureTest, ADeathBeforeTheHeadIsTold) {
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

TEST_F(WorkerFailureTest, AWorkerThatIsGoneHasNotReadTheRequest) {
  worker([](WorkerSide& side) { side.close(); });
  thread_.join();
  auto result = ask(exchange::Body::text("body"), 4);
  ASSERT_TRUE(result.failure);
  EXPECT_TRUE(result.failure->unread);
  EXPECT_EQ(result.failure->body.length(), 4u) << "another worker may have it";
}

TEST_F(WorkerFailureTest, ADeathWithinTheAnswerBreaksIt) {
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

TEST_F(WorkerFailureTest, AnAnswerThatIsNotWholeIsNoAnswer) {
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

TEST_F(WorkerFailureTest, LessThanTheAnnouncedLengthBreaksTheAnswer) {
  worker([](WorkerSide& side) {
    side.hear();
    side.answer("four", "Status: 200 OK\r\nContent-Length: 5\r\n");
  });
  auto result = ask();
  ASSERT_TRUE(result.failure);
  EXPECT_THAT(result.failure->error.message, HasSubstr("1 bytes before the length"));
}

TEST_F(WorkerFailureTest, NonsenseEndsTheWorker) {
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

TEST_F(WorkerFailureTest, AHeadThatCannotBeSentIsAFailureOfTheScriptAlone) {
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

TEST_F(WorkerFailureTest, AWorkerPastItsHardLimitIsKilled) {
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

TEST_F(WorkerFailureTest, ABodyThatBreaksEndsTheRequest) {
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
