// One request to a worker: what it is sent, what is made of its frames, and how long it stays leased.
#include "upstream/worker_rig_test.h"

namespace fivefold::upstream {
namespace {

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
  std::atomic<bool> has_request = false;
  worker([&](WorkerSide& side) {
    side.hear();
    has_request = true;
    heard.push_back(side.hear().header.kind);
    heard.push_back(side.hear().header.kind);
    side.say(Frame::end, {}, worker::kBroken | worker::kIdle);
  });
  WorkerOutcome result;
  {
    auto task = call(
        *this, make(exchange::Body::stream(std::make_unique<Pieces>(loop_, 1, "x", std::nullopt, false)), 10), result);
    task.handle().resume();
    run(until(*this, has_request));
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

}  // namespace
}  // namespace fivefold::upstream
