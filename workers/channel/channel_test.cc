#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <string>
#include <thread>

#include "channel/channel_rig_test.h"
#include "channel/channels.h"
#include "channel/deadline.h"
#include "channel/settings.h"

namespace fivefold::worker {

namespace {

using testing::ElementsAre;

TEST(Settings, AreWordsWithAnEqualsSign) {
  const char* words[] = {"ini=a=b", "ini=c=d", "root=/srv"};
  const std::string_view known[] = {"ini", "root"};
  const auto settings = Settings::parse(words, known);
  ASSERT_TRUE(settings.has_value());
  EXPECT_THAT(settings->all("ini"), ElementsAre("a=b", "c=d"));
  EXPECT_EQ("/srv", settings->one("root"));
  EXPECT_EQ("none", settings->one("program", "none"));
}

TEST(Settings, RefuseWhatTheyDoNotKnow) {
  const char* unknown[] = {"colour=red"};
  const char* bare[] = {"root"};
  const std::string_view known[] = {"root"};
  EXPECT_FALSE(Settings::parse(unknown, known).has_value());
  EXPECT_FALSE(Settings::parse(bare, known).has_value());
}

TEST(Channel, GivesTheVariablesAndTheBodyOfARequest) {
  Server server;
  Channels channels({{server.worker}});
  server.send(request(1, kVariables, "hello"));
  Request* asked = channels.next();
  ASSERT_NE(nullptr, asked);
  EXPECT_EQ("1", asked->variable("A"));
  EXPECT_EQ("x=y", asked->variable("B"));
  EXPECT_EQ(3u, asked->variables().size());
  char body[16];
  EXPECT_EQ(5, asked->read_body(body, sizeof body));
  EXPECT_EQ(0, asked->read_body(body, sizeof body));
}

TEST(Channel, AnEarlierRequestLeavesNothingInALongerOne) {
  Server server;
  Channels channels({{server.worker}});
  server.send(request(1, kVariables, std::string(300, 'a')));
  ASSERT_NE(nullptr, channels.next());
  channels.complete({});
  server.send(request(2, kVariables, std::string(400, 'b')));
  char body[2000];
  EXPECT_EQ(400, channels.next()->read_body(body, sizeof body));
}

TEST(Channel, SendsAShortAnswerInOnePiece) {
  Server server;
  Channels channels({{server.worker}});
  server.send(request(7, kVariables));
  Request* asked = channels.next();
  asked->head("Status: 200 OK\r\n");
  asked->write("one ");
  asked->write("two");
  EXPECT_TRUE(server.silent());
  channels.complete({});
  EXPECT_EQ(Frame::head, server.receive().kind);
  const auto output = server.receive();
  EXPECT_EQ(Frame::output, output.kind);
  EXPECT_EQ("one two", output.payload);
  const auto end = server.receive();
  EXPECT_EQ(Frame::end, end.kind);
  EXPECT_EQ(protocol::kIdle, end.flags);
  EXPECT_EQ(7u, end.stream);
}

TEST(Channel, AsksForTheBodyOnlyWhenItIsRead) {
  Server server;
  Channels channels({{server.worker}});
  server.send(request(1, kVariables, "first,", 0));
  Request* asked = channels.next();
  char body[64];
  EXPECT_EQ(6, asked->read_body(body, sizeof body));
  EXPECT_TRUE(server.silent());
  server.send(frame(Frame::body, 9, "of another request"));  // late; dropped
  std::thread answers([&] {
    const auto want = server.receive();
    EXPECT_EQ(Frame::want, want.kind);
    server.send(frame(Frame::body, 1, "second"));
    server.send(frame(Frame::body, 1, {}, protocol::kLast));
  });
  EXPECT_EQ(6, asked->read_body(body, sizeof body));
  EXPECT_EQ("second", std::string(body, 6));
  EXPECT_EQ(0, asked->read_body(body, sizeof body));
  answers.join();
}

TEST(Channel, WhatWasNotReadOfABodyDoesNotDisturbTheNextRequest) {
  Server server;
  Channels channels({{server.worker}});
  server.send(request(1, kVariables, {}, 0));
  Request* asked = channels.next();
  std::thread answers([&] {
    server.receive();
    server.send(frame(Frame::body, 1, std::string(100'000, 'b')));
  });
  char body[10];
  EXPECT_EQ(10, asked->read_body(body, sizeof body));
  answers.join();
  channels.complete({});
  server.send(frame(Frame::abort, 1));
  server.send(request(2, std::string_view("N=2\0", 4)));
  asked = channels.next();
  ASSERT_NE(nullptr, asked);
  EXPECT_EQ("2", asked->variable("N"));
}

TEST(Channel, ABrokenBodyIsNotAShortOne) {
  Server server;
  Channels channels({{server.worker}});
  server.send(request(1, kVariables, {}, 0));
  server.send(frame(Frame::body_broken, 1));
  char body[10];
  EXPECT_EQ(-1, channels.next()->read_body(body, sizeof body));
}

TEST(Channel, MoreBodyThanWasAskedForIsNonsense) {
  Server server;
  Channels channels({{server.worker}});
  server.send(request(1, kVariables, {}, 0));
  server.send(frame(Frame::body, 1, "unasked"));
  Request* asked = channels.next();
  EXPECT_TRUE(asked->aborted());
  channels.complete({});
  EXPECT_TRUE(channels.nonsense());
  EXPECT_EQ(nullptr, channels.next());
}

TEST(Channel, NoticesThatNobodyReads) {
  Server server;
  Channels channels({{server.worker}});
  server.send(request(1, kVariables));
  Request* asked = channels.next();
  asked->head("Status: 200 OK\r\n");
  EXPECT_TRUE(asked->flush());
  server.send(frame(Frame::abort, 1));
  EXPECT_FALSE(asked->flush());
  EXPECT_FALSE(asked->write("more"));
  channels.complete({});
  EXPECT_EQ(Frame::head, server.receive().kind);
  EXPECT_EQ(Frame::end, server.receive().kind);
}

TEST(Channel, AnAbortIsSeenWhileTheReaderTakesNothing) {
  Server server;
  Channels channels({{server.worker}});
  server.send(request(1, kVariables));
  Request* asked = channels.next();
  bool going = true;
  std::thread reader([&] {
    server.send(frame(Frame::abort, 1));
    while (server.receive().kind != Frame::end) {
    }
  });
  for (int i = 0; going && i < 1'000; ++i) going = asked->write(std::string(100'000, 'x'));
  EXPECT_FALSE(going);
  channels.complete({});
  reader.join();
}

TEST(Channel, AWindowedAnswerWaitsForItsWindow) {
  Server server;
  Channels channels({{server.worker}});
  server.send(request(1, kVariables, {}, protocol::kLast | protocol::kWindowed));
  Request* asked = channels.next();
  std::thread reader([&] {
    std::size_t seen = 0;
    while (seen < protocol::kFirstWindow) seen += server.receive().payload.size();
    EXPECT_EQ(protocol::kFirstWindow, seen);
    EXPECT_TRUE(server.silent());
    const std::uint32_t more = 10;
    server.send(frame(Frame::window, 1, {reinterpret_cast<const char*>(&more), sizeof more}));
    EXPECT_EQ(10u, server.receive().payload.size());
  });
  EXPECT_TRUE(asked->write(std::string(protocol::kFirstWindow + 10, 'x')));
  asked->flush();
  reader.join();
}

TEST(Channel, AfterTheEndTheWorkerIsNotIdleUntilItSaysSo) {
  Server server;
  Channels channels({{server.worker}});
  server.send(request(1, kVariables));
  Request* asked = channels.next();
  asked->head("Status: 200 OK\r\n");
  asked->finish();
  EXPECT_FALSE(asked->write("too late"));
  EXPECT_EQ(Frame::head, server.receive().kind);
  EXPECT_EQ(0, server.receive().flags);
  EXPECT_TRUE(server.silent());
  channels.complete({});
  EXPECT_EQ(Frame::idle, server.receive().kind);
}

TEST(Channel, SeveralChannelsTakeTurns) {
  Server one;
  Server two;
  const int ends[] = {one.worker, two.worker};
  Channels channels(ends);
  two.send(request(1, std::string_view("N=2\0", 4)));
  EXPECT_EQ("2", channels.next()->variable("N"));
  channels.complete({});
  EXPECT_EQ(Frame::end, two.receive().kind);
  two.hang_up();
  one.send(request(1, std::string_view("N=1\0", 4)));
  EXPECT_EQ("1", channels.next()->variable("N"));
  channels.complete({});
  one.hang_up();
  EXPECT_EQ(nullptr, channels.next());
}

int expired = 0;

TEST(Deadline, ComesOnceAndOnlyForTheRequestItWasSetFor) {
  Deadline deadline;
  ASSERT_TRUE(deadline.start([] { ++expired; }));
  const auto wait = [](int ms) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
    while (std::chrono::steady_clock::now() < end) poll(nullptr, 0, 1);
  };
  deadline.set(20);
  deadline.clear();
  deadline.set(150);  // the next request: nothing of the one before may come, as it would end its sleep
  EXPECT_EQ(0, usleep(60'000));
  EXPECT_EQ(0, expired);
  wait(200);
  EXPECT_EQ(1, expired);
  deadline.set(20);
  deadline.clear();
  wait(60);
  EXPECT_EQ(1, expired);
}

TEST(Deadline, EndsAWaitForABody) {
  Server server;
  Channels channels({{server.worker}});
  server.send(request(1, kVariables, {}, 0));
  Request* asked = channels.next();
  Deadline deadline;
  ASSERT_TRUE(deadline.start([] { ++expired; }));
  deadline.set(30);
  char body[10];
  EXPECT_EQ(Request::kInterrupted, asked->read_body(body, sizeof body, true));
}

class Nonsense : public testing::TestWithParam<std::string> {};

TEST_P(Nonsense, EndsTheWorker) {
  Server server;
  Channels channels({{server.worker}});
  server.send(GetParam());
  EXPECT_EQ(nullptr, channels.next());
  EXPECT_TRUE(channels.nonsense());
}

INSTANTIATE_TEST_SUITE_P(Frames, Nonsense,
                         testing::Values(std::string(64, '\xff'), frame(Frame::head, 1, "Status: 200 OK\r\n"),
                                         frame(Frame::request, 1, "short"), request(1, "A=1"), request(1, "A\0"),
                                         frame(Frame::request, 1, std::string(24, '\xff')),
                                         request(1, std::string_view("NOTHING\0", 8))));

}  // namespace

}  // namespace fivefold::worker
