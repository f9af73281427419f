// Requests that are sent to a worker while it is at another one.
#include "upstream/worker_exchange.h"
#include "upstream/worker_rig_test.h"

namespace fivefold::upstream {
namespace {

struct WorkerAheadTest : WorkerCallTest {
  std::shared_ptr<WorkerExchange> send_ahead(exchange::Body body = {}, std::optional<std::uint64_t> length = 0) {
    auto prepared = make(std::move(body), length);
    prepared.owner.reset();
    exchange::Body back;
    return WorkerExchange::send_ahead(std::move(prepared), variables(), back);
  }
  static net::Task<void> go_on(WorkerAheadTest& test, std::shared_ptr<WorkerExchange> exchange, WorkerOutcome& result) {
    auto got = co_await WorkerExchange::go_on_with(std::move(exchange), std::make_unique<FakeLease>(test.second_));
    if (!got) {
      result.failure = std::move(got.error());
      co_return;
    }
    const auto* bytes = got->body.as_bytes();
    result.body = bytes ? bytes->view : "";
  }
  static net::Task<void> until_second_gone(WorkerAheadTest& test) {
    while (!test.second_.gone) co_await net::sleep_until(test.loop_, net::Clock::now() + 1ms);
  }
  static net::Task<void> until_done(WorkerAheadTest& test, net::Task<void>& task) {
    while (!task.handle().done()) co_await net::sleep_until(test.loop_, net::Clock::now() + 1ms);
  }
  LeaseState second_;
};

TEST_F(WorkerAheadTest, TheAnswersOfOneReadAreEachTheirOwn) {
  worker([](WorkerSide& side) {
    std::string answers;
    for (const auto* body : {"first", "second"}) {
      side.hear();
      EXPECT_TRUE(side.claimed);
      answers += WorkerSide::frame(side.stream, Frame::head, "Status: 200 OK\r\n") +
                 WorkerSide::frame(side.stream, Frame::output, body) +
                 WorkerSide::frame(side.stream, Frame::end, {}, worker::kIdle);
    }
    side.send(answers);
  });
  WorkerOutcome first, second;
  auto one = call(*this, make(), first);
  one.handle().resume();
  ASSERT_TRUE(channel_->takes_more());
  auto ahead = send_ahead();
  run(until_done(*this, one));
  EXPECT_EQ(first.body, "first");
  run(go_on(*this, ahead, second));
  EXPECT_EQ(second.body, "second");
  EXPECT_TRUE(second_.gone);
}

TEST_F(WorkerAheadTest, WhatWasNotBegunIsTakenBackWithItsBody) {
  std::atomic<bool> heard_both = false;
  worker([&](WorkerSide& side) {
    side.hear();
    const auto first = side.stream;
    side.send(WorkerSide::frame(first, Frame::head, "Status: 200 OK\r\n"));
    side.hear();
    EXPECT_FALSE(side.claimed) << "it is skipped";
    side.send(WorkerSide::frame(first, Frame::end, {}, worker::kIdle));
    heard_both = true;
    side.hear();
    side.answer("third");
  });
  WorkerOutcome first;
  auto one = call(*this, make(), first);
  one.handle().resume();
  auto ahead = send_ahead(exchange::Body::text("body"), 4);
  exchange::Body body;
  ASSERT_TRUE(ahead->take_back(body, false));
  EXPECT_EQ(body.length(), 4u);
  ahead.reset();
  run(until(*this, heard_both));
  run(until_gone(*this));
  EXPECT_EQ(ask().body, "third") << "the channel is as good as before";
}

TEST_F(WorkerAheadTest, WhatWasBegunIsNot) {
  std::atomic<bool> begun = false;
  worker([&](WorkerSide& side) {
    side.hear();
    side.answer("first");
    side.hear();
    begun = true;
    side.hear();  // the end of the channel
  });
  WorkerOutcome first, second;
  auto one = call(*this, make(), first);
  one.handle().resume();
  auto ahead = send_ahead(exchange::Body::text("body"), 4);
  run(until(*this, begun));
  exchange::Body body;
  EXPECT_FALSE(ahead->take_back(body, false));
  run(until_gone(*this));
  run(end_worker(*this));
  run(go_on(*this, ahead, second));
  ASSERT_TRUE(second.failure);
  EXPECT_FALSE(second.failure->unread) << "nobody may have it twice";
}

TEST_F(WorkerAheadTest, ADeathCostsTheRequestThatWasBegunAndNoOther) {
  worker([](WorkerSide& side) { side.hear(); });  // and is gone, the second one unread
  WorkerOutcome first;
  auto one = call(*this, make(), first);
  one.handle().resume();
  auto ahead = send_ahead(exchange::Body::text("body"), 4);
  run(until_done(*this, one));
  ASSERT_TRUE(first.failure);
  EXPECT_FALSE(first.failure->unread) << "though the channel was reset with bytes unread";
  exchange::Body body;
  EXPECT_TRUE(ahead->take_back(body, true));
  EXPECT_EQ(body.length(), 4u);
}

TEST_F(WorkerAheadTest, NobodyWaitsForTheSecond) {
  std::vector<Frame> heard;
  worker([&](WorkerSide& side) {
    side.hear();
    const auto first = side.stream;
    side.hear();
    side.send(WorkerSide::frame(first, Frame::head, "Status: 200 OK\r\n") +
              WorkerSide::frame(first, Frame::end, {}, worker::kIdle));
    heard.push_back(side.hear().header.kind);
    side.answer("for nobody");
    side.hear();
    side.answer("third");
  });
  WorkerOutcome first;
  auto one = call(*this, make(), first);
  one.handle().resume();
  auto ahead = send_ahead();
  run(until_gone(*this));
  ahead->abandon_with(std::make_unique<FakeLease>(second_));
  ahead.reset();
  run(until_second_gone(*this));
  EXPECT_EQ(heard, std::vector<Frame>{Frame::abort});
  EXPECT_EQ(ask().body, "third");
}

TEST_F(WorkerAheadTest, NothingGoesBehindABodyThatIsNotOut) {
  worker([](WorkerSide& side) {
    side.hear();
    side.want(1'000'000);
    while (side.hear().header.kind == Frame::body) {
    }
  });
  WorkerOutcome first;
  auto one = call(*this, make(exchange::Body::text(std::string(500'000, 'b')), 500'000), first);
  one.handle().resume();
  EXPECT_FALSE(channel_->takes_more());
  run(end_worker(*this));
}

TEST(WorkerClaims, AWordThatIsTakenIsNobodyElses) {
  const auto page = WorkerClaims::make();
  ASSERT_TRUE(page);
  const auto claims = (*page)->of_channel(127);
  claims.offer(3);
  EXPECT_FALSE(claims.has_room_for(3 + worker::kClaims)) << "it would push out the one that waits";
  EXPECT_TRUE(claims.has_room_for(4));
  EXPECT_TRUE((*page)->of_channel(126).has_room_for(3));
  EXPECT_FALSE(claims.take_back(3 + worker::kClaims));
  EXPECT_TRUE(claims.take_back(3));
  EXPECT_FALSE(claims.take_back(3)) << "once";
  EXPECT_FALSE(ChannelClaims().has_room_for(1));
}

}  // namespace
}  // namespace fivefold::upstream
