// Where the body ends and whether the connection goes on: RFC 9112 sections 6 and 9, RFC 9110 sections 7.8, 8.6
// and 10.1.1.
#include <gtest/gtest.h>

#include "http/head_testing.h"

namespace fivefold::http {
namespace {

using namespace std::string_literals;

std::string post(const std::string& fields, const std::string& version = "1.1") {
  return "POST / HTTP/" + version + "\r\nHost: a\r\n" + fields + "\r\n";
}

struct Row {
  const char* name;
  std::string fields;
  const char* expected;
};

void check(std::initializer_list<Row> rows) {
  for (const Row& row : rows) EXPECT_EQ(verdict(post(row.fields)), row.expected) << row.name << ": " << row.fields;
}

TEST(Framing, ContentLength) {
  check({
      {"plain", "Content-Length: 5\r\n", "ok"},
      {"zero", "Content-Length: 0\r\n", "ok"},
      {"leading zeros are decimal", "Content-Length: 005\r\n", "ok"},
      {"2^63-1", "Content-Length: 9223372036854775807\r\n", "ok"},
      {"2^63", "Content-Length: 9223372036854775808\r\n", "400"},
      {"2^64", "Content-Length: 18446744073709551616\r\n", "400"},
      {"2^64+5", "Content-Length: 18446744073709551621\r\n", "400"},
      {"plus", "Content-Length: +5\r\n", "400"},
      {"minus", "Content-Length: -1\r\n", "400"},
      {"minus zero", "Content-Length: -0\r\n", "400"},
      {"hexadecimal", "Content-Length: 0x5\r\n", "400"},
      {"two numbers", "Content-Length: 5 5\r\n", "400"},
      {"underscore", "Content-Length: 1_0\r\n", "400"},
      {"letter behind", "Content-Length: 5a\r\n", "400"},
      {"fraction", "Content-Length: 5.0\r\n", "400"},
      {"empty", "Content-Length:\r\n", "400"},
      {"word", "Content-Length: blah\r\n", "400"},
      {"list of equal ones", "Content-Length: 5, 5\r\n", "400"},
      {"list of different ones", "Content-Length: 5,6\r\n", "400"},
      {"twice, equal", "Content-Length: 5\r\nContent-Length: 5\r\n", "400"},
      {"twice, different", "Content-Length: 5\r\ncontent-length: 6\r\n", "400"},
      {"space before the colon", "Content-Length : 5\r\n", "400"},
      {"none is an empty body", "", "ok"},
  });
}

TEST(Framing, TransferEncoding) {
  check({
      {"chunked", "Transfer-Encoding: chunked\r\n", "ok"},
      {"any case", "TRANSFER-ENCODING: Chunked\r\n", "ok"},
      {"white space around", "Transfer-Encoding: \t chunked \t\r\n", "ok"},
      {"identity", "Transfer-Encoding: identity\r\n", "501"},
      {"misspelt", "Transfer-Encoding: xchunked\r\n", "501"},
      {"gzip before", "Transfer-Encoding: gzip, chunked\r\n", "501"},
      {"gzip alone", "Transfer-Encoding: gzip\r\n", "501"},
      {"gzip with a parameter", "Transfer-Encoding: gzip;q=1\r\n", "501"},
      {"quoted", "Transfer-Encoding: \"chunked\"\r\n", "400"},
      {"chunked not last", "Transfer-Encoding: chunked, identity\r\n", "400"},
      {"chunked before gzip", "Transfer-Encoding: chunked, gzip\r\n", "400"},
      {"parameter", "Transfer-Encoding: chunked;q=1\r\n", "400"},
      {"empty parameter", "Transfer-Encoding: chunked;\r\n", "400"},
      {"empty element before", "Transfer-Encoding: ,chunked\r\n", "400"},
      {"empty element behind", "Transfer-Encoding: chunked,\r\n", "400"},
      {"twice in one field", "Transfer-Encoding: chunked, chunked\r\n", "400"},
      {"twice in two fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "400"},
      {"split over two fields", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", "400"},
      {"empty", "Transfer-Encoding:\r\n", "400"},
      {"two words", "Transfer-Encoding: chunked chunked\r\n", "400"},
      {"vertical tab", "Transfer-Encoding: \vchunked\r\n", "400"},
      {"form feed", "Transfer-Encoding: chunked\f\r\n", "400"},
      {"NUL", "Transfer-Encoding: chunked\0\r\n"s, "400"},
      {"no-break space",
       "Transfer-Encoding: \xa0"
       "chunked\r\n",
       "400"},
      {"next line", "Transfer-Encoding: chunked\x85\r\n", "400"},
      {"folded", "Transfer-Encoding:\r\n chunked\r\n", "400"},
      {"space before the colon", "Transfer-Encoding : chunked\r\n", "400"},
      {"Content-Length before", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "400"},
      {"Content-Length behind", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "400"},
      {"Content-Length and an unknown coding", "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n", "400"},
      {"another name", "Transfer_Encoding: chunked\r\nContent-Length: 5\r\n", "ok"},
  });
  EXPECT_EQ(verdict(post("Transfer-Encoding: chunked\r\n", "1.0")), "400");
  EXPECT_EQ(verdict(post("Transfer-Encoding: identity\r\n", "1.0")), "400");
}

TEST(Framing, WhatTheHeadSaysOfTheBody) {
  Head head;
  ASSERT_EQ(verdict(post("Content-Length: 005\r\n"), head), "ok");
  EXPECT_EQ(head.content_length, 5U);
  EXPECT_TRUE(head.has_body());
  ASSERT_EQ(verdict(post("Transfer-Encoding: chunked\r\n"), head), "ok");
  EXPECT_EQ(head.content_length, std::nullopt);
  EXPECT_TRUE(head.chunked);
  EXPECT_TRUE(head.has_body());
  ASSERT_EQ(verdict(post("Content-Length: 0\r\n"), head), "ok");
  EXPECT_FALSE(head.chunked);
  EXPECT_EQ(head.content_length, 0U);
  EXPECT_FALSE(head.has_body());
  ASSERT_EQ(verdict(post(""), head), "ok");
  EXPECT_EQ(head.content_length, std::nullopt);
  EXPECT_FALSE(head.has_body());
}

TEST(Framing, FieldsThatComeOnce) {
  for (const std::string name : {"Authorization", "Proxy-Authorization", "Content-Type", "If-Modified-Since",
                                 "If-Unmodified-Since", "If-Range", "Range", "Max-Forwards"}) {
    EXPECT_EQ(verdict(post(name + ": x\r\n")), "ok") << name;
    EXPECT_EQ(verdict(post(name + ": x\r\n" + name + ": x\r\n")), "400") << name;
  }
  for (const std::string name :
       {"Cookie", "If-None-Match", "If-Match", "Accept", "X-Forwarded-For", "Connection", "Upgrade"})
    EXPECT_EQ(verdict(post(name + ": x\r\n" + name + ": x\r\n")), "ok") << name;
}

TEST(Framing, KeepAlive) {
  struct KeepAlive {
    const char *version, *fields;
    bool expected;
  };
  const KeepAlive rows[] = {
      {"1.1", "", true},
      {"1.1", "Connection: close\r\n", false},
      {"1.1", "Connection: CLOSE\r\n", false},
      {"1.1", "Connection: ,close,,TE\r\n", false},
      {"1.1", "Connection: TE\r\nConnection: close\r\n", false},
      {"1.1", "Connection: keep-alive, close\r\n", false},
      {"1.1", "Connection: closed\r\n", true},
      {"1.1", "Connection: keep-alive\r\n", true},
      {"1.2", "", true},
      {"1.0", "", false},
      {"1.0", "Connection: keep-alive\r\n", true},
      {"1.0", "Connection: Keep-Alive\r\n", true},
      {"1.0", "Connection: keep-alive, close\r\n", false},
  };
  for (const KeepAlive& row : rows) {
    Head head;
    ASSERT_EQ(verdict(post(row.fields, row.version), head), "ok");
    EXPECT_EQ(head.keep_alive, row.expected) << row.version << " " << row.fields;
  }
}

TEST(Framing, Expect) {
  check({
      {"100-continue", "Expect: 100-continue\r\n", "ok"},
      {"any case", "Expect: 100-CONTINUE\r\n", "ok"},
      {"another", "Expect: foo\r\n", "417"},
      {"both", "Expect: 100-continue, foo\r\n", "417"},
      {"with a parameter", "Expect: 100-continue;x\r\n", "417"},
      {"bad framing is worse", "Expect: foo\r\nContent-Length: x\r\n", "400"},
  });
  Head head;
  ASSERT_EQ(verdict(post("Expect: 100-Continue\r\n"), head), "ok");
  EXPECT_TRUE(head.expect_continue);
  ASSERT_EQ(verdict(post("Expect: 100-continue\r\n", "1.0"), head), "ok");
  EXPECT_FALSE(head.expect_continue);
  ASSERT_EQ(verdict(post("Expect: foo\r\n", "1.0"), head), "ok");
  ASSERT_EQ(verdict(post(""), head), "ok");
  EXPECT_FALSE(head.expect_continue);
}

TEST(Framing, Upgrade) {
  struct Upgrade {
    const char *version, *fields;
    bool expected;
  };
  const Upgrade rows[] = {
      {"1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", true},
      {"1.1", "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n", true},
      {"1.1", "Upgrade: websocket\r\n", false},
      {"1.1", "Connection: Upgrade\r\n", false},
      {"1.0", "Connection: Upgrade\r\nUpgrade: websocket\r\n", false},
  };
  for (const Upgrade& row : rows) {
    Head head;
    ASSERT_EQ(verdict(post(row.fields, row.version), head), "ok");
    EXPECT_EQ(head.upgrade, row.expected) << row.version << " " << row.fields;
  }
}

}  // namespace
}  // namespace fivefold::http
