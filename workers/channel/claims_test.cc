// Requests that are sent while the worker is at another one, and taken back.
#include <gmock/gmock.h>

#include <array>
#include <atomic>

#include "channel/channel_rig_test.h"

namespace fivefold::worker {
namespace {

struct Claimed : testing::Test {
  void offer(std::uint32_t stream) { words[stream % protocol::kClaims] = stream; }
  void finish() { channels.complete({}); }
  Server server;
  std::array<std::atomic<std::uint32_t>, protocol::kClaims> words{};
  Channels channels{{{server.worker}}, words.data()};
};

TEST_F(Claimed, WhatIsOfferedIsTakenOnce) {
  offer(1);
  server.send(request(1, kVariables));
  ASSERT_NE(nullptr, channels.next());
  EXPECT_EQ(0u, words[1]);
}

TEST_F(Claimed, WhatWasTakenBackIsSkippedWithItsBody) {
  offer(2);
  server.send(request(1, kVariables, "one") + request(2, kVariables, "two"));
  Request* asked = channels.next();
  ASSERT_NE(nullptr, asked);
  char body[8];
  EXPECT_EQ(3, asked->read_body(body, sizeof body));
  EXPECT_EQ("two", std::string(body, 3));
}

TEST_F(Claimed, OneThatComesWhileAnotherIsUnderWayIsTheNext) {
  for (const std::uint32_t stream : {1u, 2u, 3u}) offer(stream);
  server.send(request(1, kVariables, {}, 0));
  Request* asked = channels.next();
  ASSERT_NE(nullptr, asked);
  // The body of the first is behind the second in the channel.
  server.send(request(2, kVariables, "two") + request(3, kVariables, "three") +
              frame(Frame::body, 1, "one", protocol::kLast));
  char body[8];
  EXPECT_EQ(3, asked->read_body(body, sizeof body));
  EXPECT_EQ("one", std::string(body, 3));
  finish();
  words[2] = 0;  // taken back meanwhile
  asked = channels.next();
  ASSERT_NE(nullptr, asked);
  EXPECT_EQ(5, asked->read_body(body, sizeof body));
  EXPECT_EQ("three", std::string(body, 5));
}

TEST_F(Claimed, AnAbortIsSeenBehindRequestsThatWait) {
  offer(1);
  offer(2);
  server.send(request(1, kVariables));
  Request* asked = channels.next();
  ASSERT_NE(nullptr, asked);
  server.send(request(2, kVariables, "two") + frame(Frame::abort, 1));
  EXPECT_TRUE(asked->aborted());
  finish();
  asked = channels.next();
  ASSERT_NE(nullptr, asked);
  EXPECT_FALSE(asked->aborted());
}

TEST_F(Claimed, MoreThanCanWaitIsNonsense) {
  offer(1);
  server.send(request(1, kVariables));
  Request* asked = channels.next();
  ASSERT_NE(nullptr, asked);
  for (std::uint32_t stream = 2; stream < 3 + Wire::kMostPutOff; ++stream) server.send(request(stream, kVariables));
  EXPECT_TRUE(asked->aborted());
  finish();
  EXPECT_EQ(nullptr, channels.next());
  EXPECT_TRUE(channels.nonsense());
}

}  // namespace
}  // namespace fivefold::worker
