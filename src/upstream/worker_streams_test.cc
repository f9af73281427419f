// Requests that share a channel to a worker: who is told what, who holds up whom, and what breaks with it.
#include "upstream/worker_streams.h"

#include "upstream/worker_rig_test.h"
#include "upstream/worker_stream_call.h"

namespace fivefold::upstream {
namespace {

constexpr std::string_view kHead = "Status: 200 OK\r\nContent-Type: text/plain\r\n";

std::string frame(std::uint32_t stream, Frame kind, std::string_view content = {}, std::uint8_t flags = 0) {
  return WorkerSide::frame(stream, kind, content, flags);
}
std::string answer(std::uint32_t stream, std::string_view body) {
  return frame(stream, Frame::head, kHead) + frame(stream, Frame::output, body) +
         frame(stream, Frame::end, {}, worker::kIdle);
}

// One request's side of a test.
struct Asked {
  LeaseState lease;
  WorkerOutcome result;
};

class WorkerStreamsTest : public CallRig {
 protected:
  ~WorkerStreamsTest() override {
    asked_.clear();
    if (streams_) streams_->close();
    world_.background.clear();
    streams_.reset();
    if (thread_.joinable()) thread_.join();
  }
  void worker(std::function<void(WorkerSide&)> script) {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    streams_ = std::make_shared<WorkerStreams>(loop_, UniqueFd(pair[0]), 1000);
    thread_ = std::thread([script = std::move(script), fd = pair[1]] {
      WorkerSide side(fd);
      script(side);
      side.close();
    });
  }
  static net::Task<void> call(WorkerStreamsTest& test, Asked& asked, exchange::Body body,
                              std::optional<std::uint64_t> length) {
    process::StringBlock variables;
    variables.add("PATH_INFO", "/x");
    auto got = co_await call_worker_stream({.streams = test.streams_,
                                            .owner = std::make_unique<FakeLease>(asked.lease),
                                            .exchange = test.exchange_,
                                            .body = std::move(body),
                                            .body_length = length,
                                            .hard = test.hard_,
                                            .head_limit = 1000,
                                            .upgrade = test.upgrade_},
                                           std::move(variables));
    if (!got) {
      asked.result.failure = std::move(got.error());
      co_return;
    }
    asked.result.answer = std::move(*got);
    asked.result.whole = asked.result.answer.body.as_bytes() != nullptr;
    while (test.read_body_ && !asked.result.answer.tunnel) {
      auto chunk = co_await asked.result.answer.body.next();
      if (!chunk) asked.result.broken = std::move(chunk.error());
      if (!chunk || chunk->empty()) break;
      asked.result.body.append(*chunk);
    }
  }
  // Requests that begin in one turn of the loop; runs until all have ended.
  void ask(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) asked_.push_back(std::make_unique<Asked>());
    run(all(*this, count));
  }
  static net::Task<void> all(WorkerStreamsTest& test, std::size_t count) {
    net::TaskGroup group;
    net::Event over(test.loop_);
    group.on_empty([&over] { over.set(); });
    for (std::size_t i = test.asked_.size() - count; i < test.asked_.size(); ++i)
      group.start(call(test, *test.asked_[i], {}, 0));
    if (group.size() > 0) co_await over.wait();
  }
  WorkerOutcome& ask_one(exchange::Body body = {}, std::optional<std::uint64_t> length = 0) {
    asked_.push_back(std::make_unique<Asked>());
    run(call(*this, *asked_.back(), std::move(body), length));
    return asked_.back()->result;
  }
  static net::Task<void> until_gone(WorkerStreamsTest& test, Asked& asked) {
    while (!asked.lease.gone) co_await net::sleep_until(test.loop_, net::Clock::now() + 1ms);
  }

  std::shared_ptr<WorkerStreams> streams_;
  std::vector<std::unique_ptr<Asked>> asked_;
  std::thread thread_;
  net::TimePoint hard_ = net::kNever;
  bool read_body_ = true;
  bool upgrade_ = false;
};

TEST_F(WorkerStreamsTest, ManyRequestsAreAnsweredInAnyOrder) {
  constexpr std::size_t kMany = 50;
  worker([](WorkerSide& side) {
    std::vector<std::uint32_t> streams;
    for (std::size_t i = 0; i < kMany; ++i) {
      const auto heard = side.hear();
      EXPECT_EQ(heard.header.flags, worker::kLast | worker::kWindowed);
      EXPECT_EQ(heard.variables(), "PATH_INFO=/x\0"s);
      streams.push_back(heard.header.stream);
    }
    std::string all;
    for (auto stream = streams.rbegin(); stream != streams.rend(); ++stream)
      all += answer(*stream, std::to_string(*stream));
    side.send(all);
  });
  ask(kMany);
  for (std::size_t i = 0; i < kMany; ++i) {
    ASSERT_FALSE(asked_[i]->result.failure) << asked_[i]->result.failure->error.message;
    EXPECT_EQ(asked_[i]->result.body, std::to_string(i + 1));
    EXPECT_TRUE(asked_[i]->result.whole);
    EXPECT_TRUE(asked_[i]->lease.gone);
  }
}

TEST_F(WorkerStreamsTest, BodiesAreSentAsTheyAreAskedFor) {
  std::string received;
  worker([&](WorkerSide& side) {
    auto first = side.hear();
    EXPECT_EQ(first.header.flags, worker::kWindowed);
    side.want(7);
    received += side.hear().content + "|";
    side.want(1000);
    for (bool last = false; !last;) {
      const auto more = side.hear();
      received += more.content + "|";
      last = more.ended || (more.header.flags & worker::kLast);
    }
    side.answer("thanks");
  });
  auto& result = ask_one(exchange::Body::stream(std::make_unique<Pieces>(loop_, 3, "piece ")), std::nullopt);
  EXPECT_EQ(result.body, "thanks");
  EXPECT_EQ(received, "piece |p|iece |piece ||");
}

TEST_F(WorkerStreamsTest, AResponseIsHeldToItsWindowAndThatOpensAsItIsRead) {
  const std::string block(64 * 1024, 'x');
  std::uint64_t windows = 0;
  worker([&](WorkerSide& side) {
    side.hear();
    side.say(Frame::head, kHead);
    for (int i = 0; i < 4; ++i) side.say(Frame::output, block);
    for (int i = 4; i < 16; ++i) {
      while (windows < (i - 3) * block.size()) {
        const auto heard = side.hear();
        ASSERT_EQ(heard.header.kind, Frame::window);
        std::uint32_t more = 0;
        std::memcpy(&more, heard.content.data(), sizeof more);
        windows += more;
      }
      side.say(Frame::output, block);
    }
    side.say(Frame::end, {}, worker::kIdle);
  });
  auto& result = ask_one();
  EXPECT_EQ(result.body.size(), 16 * block.size());
  EXPECT_FALSE(result.broken);
}

TEST_F(WorkerStreamsTest, AWorkerThatExceedsAWindowIsKilledAndBreaksWhatIsOnIt) {
  worker([&](WorkerSide& side) {
    for (int i = 0; i < 2; ++i) side.hear();
    std::string all = frame(1, Frame::head, kHead);
    for (int i = 0; i < 5; ++i) all += frame(1, Frame::output, std::string(64 * 1024, 'x'));
    side.send(all);
    side.at_end();
  });
  read_body_ = false;
  ask(2);
  EXPECT_THAT(asked_[0]->lease.killed + asked_[0]->result.answer.headers.wire(), HasSubstr("window"));
  ASSERT_TRUE(asked_[1]->result.failure);
  EXPECT_EQ(asked_[1]->result.failure->error.code, Code::program_failed);
  EXPECT_THAT(asked_[1]->lease.died, HasSubstr("another request"));
  EXPECT_FALSE(streams_->is_open());
}

TEST_F(WorkerStreamsTest, NonsenseKillsTheWorker) {
  const std::vector<std::string> nonsense = {
      std::string(200, '\xff'),
      frame(1, Frame::output, "no head"),
      frame(1, Frame::head, kHead) + frame(1, Frame::head, kHead),
      frame(1, Frame::idle),
      frame(1, Frame::head, "Status: 101\r\n"),
      frame(1, Frame::head, std::string("Status: 200 OK\r\nX: a\0b\r\n", 24)),
      frame(1, Frame::head, kHead) + frame(1, Frame::interim, "Status: 103\r\n"),
      frame(1, Frame::request, "x"),
  };
  for (const auto& bytes : nonsense) {
    worker([&](WorkerSide& side) {
      side.hear();
      side.send(bytes);
      side.at_end();
    });
    auto& result = ask_one();
    ASSERT_TRUE(result.failure || result.broken) << testing::PrintToString(bytes);
    EXPECT_NE(asked_.back()->lease.killed, "") << testing::PrintToString(bytes);
    EXPECT_TRUE(asked_.back()->lease.gone);
    thread_.join();
  }
}

TEST_F(WorkerStreamsTest, FramesOfNobodyAreDropped) {
  worker([](WorkerSide& side) {
    side.hear();
    side.send(frame(0, Frame::output, "x") + frame(99, Frame::head, kHead) + frame(17, Frame::end) + answer(1, "mine") +
              frame(1, Frame::output, "late"));
    side.hear();
    side.send(answer(2, "next"));
  });
  EXPECT_EQ(ask_one().body, "mine");
  EXPECT_EQ(ask_one().body, "next");
}

TEST_F(WorkerStreamsTest, AWorkerThatDiesBreaksTheRequestsOnIt) {
  worker([](WorkerSide& side) {
    for (int i = 0; i < 3; ++i) side.hear();
    side.send(frame(1, Frame::head, kHead) + frame(1, Frame::output, "begun") + answer(3, "whole"));
    ::usleep(20'000);
  });
  ask(3);
  EXPECT_EQ(asked_[0]->result.body, "begun");
  ASSERT_TRUE(asked_[0]->result.broken);
  EXPECT_NE(asked_[0]->lease.broke, "");
  ASSERT_TRUE(asked_[1]->result.failure);
  EXPECT_FALSE(asked_[1]->result.failure->unread) << "it had been read";
  EXPECT_EQ(asked_[2]->result.body, "whole");
  EXPECT_NE(asked_[0]->lease.died, "");
  EXPECT_EQ(asked_[2]->lease.died, "");
}

TEST_F(WorkerStreamsTest, ARequestThatNobodyHasReadMayGoElsewhere) {
  worker([](WorkerSide& side) { side.close(); });
  thread_.join();
  auto& result = ask_one(exchange::Body::text("body"), 4);
  ASSERT_TRUE(result.failure);
  EXPECT_TRUE(result.failure->unread);
  ASSERT_NE(result.failure->body.as_bytes(), nullptr);
  EXPECT_EQ(result.failure->body.as_bytes()->view, "body");
}

TEST_F(WorkerStreamsTest, AClientThatLeavesIsToldAndTheWorkerStaysLeasedUntilItHasDone) {
  std::vector<Frame> heard;
  worker([&](WorkerSide& side) {
    side.hear();
    side.say(Frame::head, kHead);
    side.say(Frame::output, "begun");
    heard.push_back(side.hear().header.kind);
    side.say(Frame::output, "nobody reads this");
    side.say(Frame::end, "left", worker::kBroken | worker::kIdle);
    side.hear();
    side.send(answer(2, "next"));
  });
  read_body_ = false;
  auto& result = ask_one();
  ASSERT_FALSE(result.failure);
  EXPECT_FALSE(asked_[0]->lease.gone);
  result.answer.body = {};
  run(until_gone(*this, *asked_[0]));
  EXPECT_THAT(heard, testing::ElementsAre(Frame::abort));
  EXPECT_EQ(asked_[0]->lease.broke, "") << "it is no fault of the program's";
  read_body_ = true;
  EXPECT_EQ(ask_one().body, "next");
}

TEST_F(WorkerStreamsTest, ARequestThatPassesItsTimeEndsItsWorker) {
  worker([](WorkerSide& side) {
    side.hear();
    side.at_end();
  });
  hard_ = net::Clock::now() + 60ms;
  auto& result = ask_one();
  ASSERT_TRUE(result.failure);
  EXPECT_EQ(result.failure->error.code, Code::program_timeout);
  EXPECT_THAT(asked_[0]->lease.killed, HasSubstr("within its time"));
}

TEST_F(WorkerStreamsTest, InterimResponsesAndLogLines) {
  worker([](WorkerSide& side) {
    side.hear();
    side.send(frame(1, Frame::interim, "Status: 103\r\nLink: </a>\r\n") + frame(1, Frame::log, "a line", 3) +
              answer(1, "final"));
  });
  EXPECT_EQ(ask_one().body, "final");
  EXPECT_EQ(exchange_.interim, "103|Link: </a>\r\n");
  EXPECT_EQ(asked_[0]->lease.log, "a line<3>");
}

// ---- WebSockets ----

class WorkerTunnelTest : public WorkerStreamsTest {
 protected:
  WorkerTunnelTest() { upgrade_ = true; }
  static net::Task<void> talk(exchange::Tunnel& tunnel, std::string say, std::size_t hear, std::string& heard) {
    net::Running sender(send(tunnel, std::move(say)));
    while (heard.size() < hear) {
      auto got = co_await tunnel.next();
      if (!got || got->empty()) break;
      heard += *got;
    }
  }
  static net::Task<void> send(exchange::Tunnel& tunnel, std::string say) {
    auto sent = co_await tunnel.send(say);
    EXPECT_TRUE(sent.has_value());
  }
};

TEST_F(WorkerTunnelTest, BytesGoBothWaysAsTheyAreAskedFor) {
  const std::string much(600'000, 'm');
  worker([&](WorkerSide& side) {
    const auto request = side.hear();
    EXPECT_EQ(request.header.flags, worker::kLast | worker::kWindowed | worker::kUpgrade);
    side.send(frame(1, Frame::head, "Status: 101\r\nSec-WebSocket-Accept: abc\r\n") + frame(1, Frame::output, "hi"));
    std::size_t got = 0;
    while (got < much.size()) {
      side.want(100'000);
      for (std::size_t piece = 0; piece < 100'000 && got < much.size();) {
        const auto heard = side.hear();
        if (heard.header.kind == Frame::window) continue;
        ASSERT_EQ(heard.header.kind, Frame::body);
        ASSERT_LE(heard.content.size(), 100'000 - piece);
        piece += heard.content.size();
        got += heard.content.size();
      }
    }
    side.say(Frame::output, "all there");
    while (true) {
      const auto heard = side.hear();
      if (heard.header.kind == Frame::window) continue;
      EXPECT_EQ(heard.header.kind, Frame::body);
      EXPECT_EQ(heard.header.flags, worker::kLast);
      break;
    }
    side.say(Frame::end, {}, worker::kIdle);
  });
  auto& result = ask_one();
  ASSERT_FALSE(result.failure) << result.failure->error.message;
  EXPECT_EQ(result.answer.status, 101);
  EXPECT_EQ(result.answer.headers.get("Upgrade"), "websocket");
  EXPECT_EQ(result.answer.headers.get("Sec-WebSocket-Accept"), "abc");
  ASSERT_TRUE(result.answer.tunnel);
  std::string heard;
  run(talk(*result.answer.tunnel, much, 11, heard));
  EXPECT_EQ(heard, "hiall there");
  result.answer.tunnel->finish_sending();
  heard.clear();
  run(talk(*result.answer.tunnel, "", 1, heard));
  EXPECT_EQ(heard, "") << "the worker has ended its side";
  EXPECT_TRUE(asked_[0]->lease.gone);
}

TEST_F(WorkerTunnelTest, ARefusedHandshakeIsAnAnswer) {
  worker([](WorkerSide& side) {
    side.hear();
    side.answer("no", "Status: 403 Forbidden\r\n");
  });
  auto& result = ask_one();
  EXPECT_EQ(result.answer.status, 403);
  EXPECT_FALSE(result.answer.tunnel);
  EXPECT_EQ(result.body, "no");
}

TEST_F(WorkerTunnelTest, ItsTimeIsNotTheRequests) {
  worker([](WorkerSide& side) {
    side.hear();
    side.say(Frame::head, "Status: 101\r\n");
    ::usleep(250'000);
    side.say(Frame::output, "later");
    side.hear();
    side.say(Frame::end, {}, worker::kIdle);
  });
  hard_ = net::Clock::now() + 100ms;
  auto& result = ask_one();
  ASSERT_TRUE(result.answer.tunnel);
  std::string heard;
  run(talk(*result.answer.tunnel, "", 5, heard));
  EXPECT_EQ(heard, "later");
  result.answer.tunnel.reset();
  run(until_gone(*this, *asked_[0]));
  EXPECT_EQ(asked_[0]->lease.killed, "");
}

}  // namespace
}  // namespace fivefold::upstream
