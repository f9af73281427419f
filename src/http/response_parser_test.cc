// RFC 9112 sections 4 to 6 and 9, as a table: what an application may answer and what is refused.
#include "http/response_parser.h"

#include <gtest/gtest.h>

namespace fivefold::http {
namespace {

using Framing = ReceivedHead::Framing;
using namespace std::string_literals;

struct Outcome {
  std::string verdict;  // "ok", "incomplete" or the message of the refusal
  Code code = Code::internal;
  std::size_t consumed = 0;
  ReceivedHead head;
};

Outcome parse(std::string_view bytes, Method request, ResponseLimits limits) {
  Outcome outcome;
  const auto parsed = ResponseHeadParser(limits).parse(bytes, request, outcome.head);
  outcome.verdict = !parsed ? parsed.error().message : *parsed == 0 ? "incomplete" : "ok";
  if (!parsed) outcome.code = parsed.error().code;
  outcome.consumed = parsed.value_or(0);
  return outcome;
}

// At once, and byte by byte from a buffer that moves each time: both must agree on what to make of it.
Outcome read(std::string_view bytes, Method request = Method::get, ResponseLimits limits = {}) {
  const auto at_once = parse(bytes, request, limits);
  ResponseHeadParser parser(limits);
  ReceivedHead head;
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const std::string front(bytes.substr(0, size));
    const auto step = parser.parse(front, request, head);
    if (step && *step == 0) {
      if (size == bytes.size()) EXPECT_EQ(at_once.verdict, "incomplete") << bytes;
      continue;
    }
    EXPECT_EQ(step.has_value(), at_once.verdict == "ok") << bytes;
    if (step) EXPECT_EQ(*step, at_once.consumed) << bytes;
    if (step) EXPECT_EQ(head.fields.size(), at_once.head.fields.size()) << bytes;
    break;
  }
  return at_once;
}

std::string ok(const std::string& fields, const std::string& version = "1.1", const std::string& status = "200 OK") {
  return "HTTP/" + version + " " + status + "\r\n" + fields + "\r\n";
}

TEST(ResponseHead, AWholeOneIsRead) {
  const auto bytes = ok("Content-Type: text/html\r\nContent-Length:  12 \r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n");
  const auto read_one = read(bytes + "Hello, world");
  ASSERT_EQ(read_one.verdict, "ok");
  EXPECT_EQ(read_one.consumed, bytes.size());
  EXPECT_EQ(read_one.head.status, 200);
  EXPECT_EQ(read_one.head.minor_version, 1);
  EXPECT_EQ(read_one.head.fields.size(), 4u);
  EXPECT_EQ(read_one.head.framing, Framing::length);
  EXPECT_EQ(read_one.head.length, 12u);
  EXPECT_TRUE(read_one.head.keep_alive);
}

TEST(ResponseHead, StatusLines) {
  for (const auto* line :
       {"HTTP/1.1 200 OK", "HTTP/1.1 200 ", "HTTP/1.1 200", "HTTP/1.0 599 x", "HTTP/1.1 404 Not Found",
        "HTTP/1.1 200 Tout va tr\xc3\xa8s bien", "HTTP/1.1 299  two  spaces"})
    EXPECT_EQ(read(std::string(line) + "\r\n\r\n").verdict, "ok") << line;
  for (const auto* line :
       {"HTTP/1.2 200 OK",  "HTTP/2 200 OK",    "HTTP/2.0 200 OK",  "HTTP/0.9 200 OK",  "http/1.1 200 OK",
        "HTTP/1.1  200 OK", "HTTP/1.1\t200 OK", "HTTP/1.1 099 x",   "HTTP/1.1 600 x",   "HTTP/1.1 999 x",
        "HTTP/1.1 20 OK",   "HTTP/1.1 2000 OK", "HTTP/1.1 200OK",   "HTTP/1.1 +20 OK",  "HTTP/1.1 2 0 OK",
        "HTTP/1.1 OK",      "HTTP/1.1",         " HTTP/1.1 200 OK", "Status: 200 OK",   "200 OK",
        "<html>",           "HTTP/1.1 200\tOK", "HTTPS/1.1 200 OK", "HTTP/1.1.1 200 OK"})
    EXPECT_EQ(read(std::string(line) + "\r\n\r\n").code, Code::program_failed) << line;
  EXPECT_EQ(read("\r\nHTTP/1.1 200 OK\r\n\r\n").code, Code::program_failed);
}

TEST(ResponseHead, WhatCannotBecomeOneIsNotWaitedFor) {
  EXPECT_EQ(read("\x15\x03\x01"s).code, Code::program_failed);
  EXPECT_EQ(read("SSH-2").code, Code::program_failed);
  EXPECT_EQ(read("HTTP/1.").verdict, "incomplete");
  EXPECT_EQ(read("").verdict, "incomplete");
}

TEST(ResponseHead, Fields) {
  for (const auto& fields : {"A: b\r\n"s, "A:b\r\n"s, "A:\r\n"s, "A: \t \r\n"s, "A: b\tc\r\n"s, "A: \xff\xe4\r\n"s,
                             "!#$%&'*+-.^_`|~9z: x\r\n"s, "A: b: c\r\n"s})
    EXPECT_EQ(read(ok(fields)).verdict, "ok") << fields;
  for (const auto& fields :
       {"A : b\r\n"s, "A\t: b\r\n"s, ": b\r\n"s, "A b: c\r\n"s, "A\r\n"s, " A: b\r\n"s, "A: b\r\n c\r\n"s,
        "A: b\r\n\tc\r\n"s, "A: b\nC: d\r\n"s, "A: b\rC: d\r\n"s, "A: b\r\r\n"s, "A: b\0c\r\n"s, "A: b\x01\r\n"s,
        "A: b\x7f\r\n"s, "A\0: b\r\n"s, "\xc3\xa4: b\r\n"s, "A(: b\r\n"s, "\n"s})
    EXPECT_EQ(read(ok(fields)).code, Code::program_failed) << fields;
}

TEST(ResponseHead, TheLineAtFaultIsTold) {
  EXPECT_NE(read(ok("A: b\r\nX-Bad : 1\r\n")).verdict.find("X-Bad : 1"), std::string::npos);
  EXPECT_NE(read(ok("Content-Length: twelve\r\n")).verdict.find("Content-Length: twelve"), std::string::npos);
  EXPECT_NE(read("<html>\r\n").verdict.find("<html>"), std::string::npos);
}

TEST(ResponseHead, ContentLength) {
  for (const auto* value : {"0", "5", "005", "9223372036854775807"})
    EXPECT_EQ(read(ok("Content-Length: "s + value + "\r\n")).verdict, "ok") << value;
  for (const auto* value : {"", "-1", "+5", "0x5", "5 5", "5, 5", "5,6", "5a", "5.0", "9223372036854775808",
                            "18446744073709551616", "18446744073709551621", "1_0"})
    EXPECT_EQ(read(ok("Content-Length: "s + value + "\r\n")).code, Code::program_failed) << value;
  EXPECT_EQ(read(ok("Content-Length: 5\r\nContent-Length: 5\r\n")).code, Code::program_failed);
  EXPECT_EQ(read(ok("Content-Length: 5\r\ncontent-length: 6\r\n")).code, Code::program_failed);
  EXPECT_EQ(read(ok("Content-Length: 5\r\nContent-Length: 5\r\n"), Method::head).code, Code::program_failed);
}

TEST(ResponseHead, TransferEncoding) {
  const auto chunked = read(ok("Transfer-Encoding: Chunked\r\n"));
  EXPECT_EQ(chunked.verdict, "ok");
  EXPECT_EQ(chunked.head.framing, Framing::chunked);
  EXPECT_TRUE(chunked.head.keep_alive);
  for (const auto* value : {"", "identity", "gzip", "gzip, chunked", "chunked, chunked", "chunked, gzip", "chunked;a=b",
                            "xchunked", "\"chunked\"", ",chunked", "chunked,"})
    EXPECT_EQ(read(ok("Transfer-Encoding: "s + value + "\r\n")).code, Code::program_failed) << value;
  EXPECT_EQ(read(ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")).code, Code::program_failed);
  EXPECT_EQ(read(ok("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")).code, Code::program_failed);
  EXPECT_EQ(read(ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")).code, Code::program_failed);
  EXPECT_EQ(read(ok("Transfer-Encoding: chunked\r\n", "1.0")).code, Code::program_failed);
}

TEST(ResponseHead, WhereTheBodyEnds) {
  struct Row {
    const char* what;
    std::string bytes;
    Method request;
    Framing framing;
    bool keep_alive;
    std::optional<std::uint64_t> announced;
  };
  const Row rows[] = {
      {"length", ok("Content-Length: 5\r\n"), Method::post, Framing::length, true, 5},
      {"close said", ok("Content-Length: 5\r\nConnection: x, Close\r\n"), Method::get, Framing::length, false, 5},
      {"neither", ok(""), Method::get, Framing::until_close, false, {}},
      {"1.0 length", ok("Content-Length: 5\r\n", "1.0"), Method::get, Framing::length, false, 5},
      {"1.0 kept", ok("Content-Length: 5\r\nConnection: keep-alive\r\n", "1.0"), Method::get, Framing::length, true, 5},
      {"HEAD", ok("Content-Length: 5\r\n"), Method::head, Framing::none, true, 5},
      {"HEAD without", ok(""), Method::head, Framing::none, true, {}},
      {"HEAD chunked", ok("Transfer-Encoding: chunked\r\n"), Method::head, Framing::none, true, {}},
      {"304", ok("Content-Length: 5\r\n", "1.1", "304 Not Modified"), Method::get, Framing::none, true, 5},
      {"204", ok("", "1.1", "204 No Content"), Method::get, Framing::none, true, {}},
      {"204 with 0", ok("Content-Length: 0\r\n", "1.1", "204 No Content"), Method::get, Framing::none, true, 0},
      {"204 with 5", ok("Content-Length: 5\r\n", "1.1", "204 No Content"), Method::get, Framing::none, false, 5},
      {"204 chunked", ok("Transfer-Encoding: chunked\r\n", "1.1", "204 x"), Method::get, Framing::none, false, {}},
      {"103", ok("Link: <a>\r\n", "1.1", "103 Early Hints"), Method::get, Framing::none, true, {}},
      {"100 with 0", ok("Content-Length: 0\r\n", "1.1", "100 Continue"), Method::get, Framing::none, true, 0},
  };
  for (const Row& row : rows) {
    const auto outcome = read(row.bytes, row.request);
    ASSERT_EQ(outcome.verdict, "ok") << row.what;
    EXPECT_EQ(outcome.head.framing, row.framing) << row.what;
    EXPECT_EQ(outcome.head.keep_alive, row.keep_alive) << row.what;
    EXPECT_EQ(outcome.head.announced, row.announced) << row.what;
  }
  EXPECT_EQ(read(ok("Content-Length: 5\r\n", "1.1", "103 Early Hints")).code, Code::program_failed);
  EXPECT_EQ(read(ok("Transfer-Encoding: chunked\r\n", "1.1", "100 Continue")).code, Code::program_failed);
}

TEST(ResponseHead, Upgrade) {
  const auto switched = read(ok("Upgrade: websocket\r\nConnection: Upgrade\r\n", "1.1", "101 Switching Protocols"));
  EXPECT_TRUE(switched.head.upgrade);
  EXPECT_FALSE(read(ok("", "1.1", "101 Switching Protocols")).head.upgrade);
  EXPECT_FALSE(read(ok("Upgrade: h2c\r\nContent-Length: 0\r\n")).head.upgrade);
}

TEST(ResponseHead, Limits) {
  const ResponseLimits limits{.head = 60, .fields = 3};
  EXPECT_EQ(read(ok("A: 1\r\nB: 2\r\nC: 3\r\n"), Method::get, limits).verdict, "ok");
  EXPECT_EQ(read(ok("A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n"), Method::get, limits).code, Code::program_failed);
  const auto exact = ok("A: " + std::string(60 - 17 - 3 - 2 - 2, 'x') + "\r\n");
  ASSERT_EQ(exact.size(), 60u);
  EXPECT_EQ(read(exact, Method::get, limits).verdict, "ok");
  EXPECT_EQ(read(exact + "body", Method::get, limits).verdict, "ok");
  EXPECT_EQ(read(ok("A: " + std::string(60, 'x') + "\r\n"), Method::get, limits).code, Code::program_failed);
  EXPECT_EQ(read("HTTP/1.1 200 " + std::string(100, 'x'), Method::get, limits).code, Code::program_failed);
}

TEST(ResponseHead, OneParserReadsOneAfterAnother) {
  ResponseHeadParser parser;
  ReceivedHead head;
  std::string bytes = ok("", "1.1", "103 Early Hints") + ok("Content-Length: 2\r\n");
  auto first = parser.parse(bytes, Method::get, head);
  ASSERT_TRUE(first);
  EXPECT_EQ(head.status, 103);
  bytes.erase(0, *first);
  EXPECT_EQ(parser.parse(std::string_view(bytes).substr(0, 20), Method::get, head).value(), 0u);
  EXPECT_EQ(parser.parse(bytes, Method::get, head).value(), bytes.size());
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.field("content-LENGTH"), "2");
  EXPECT_FALSE(head.field("length"));
}

TEST(HopByHop, NamesAreOfOneConnection) {
  for (const auto* name :
       {"Connection", "keep-alive", "Proxy-Connection", "Transfer-Encoding", "TE", "Trailer", "Upgrade"})
    EXPECT_TRUE(is_hop_by_hop(name, "")) << name;
  for (const auto* name : {"Content-Type", "Host", "Set-Cookie", "X-Own", "Trailers", "Tea", ""})
    EXPECT_FALSE(is_hop_by_hop(name, "close")) << name;
  EXPECT_TRUE(is_hop_by_hop("X-Own", "close, x-own"));
  EXPECT_TRUE(is_hop_by_hop("HTTP2-Settings", "Upgrade, HTTP2-Settings"));
}

// CVE-2022-31813: a client names X-Forwarded-For in Connection, and the application behind sees none.
TEST(HopByHop, AHostileConnectionTakesNothingAway) {
  for (const auto* name : {"Host", "Content-Length", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP", "Forwarded",
                           "Authorization", "Cookie", "Set-Cookie", "Content-Type", "X-Request-Id", "traceparent"})
    EXPECT_FALSE(is_hop_by_hop(name, "close, "s + name)) << name;
}

}  // namespace
}  // namespace fivefold::http
