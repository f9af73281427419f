#include "http/response_head.h"

#include <gtest/gtest.h>

#include "http/status.h"

namespace fivefold::http {
namespace {

constexpr std::string_view kDate = "Sun, 06 Nov 1994 08:49:37 GMT";
using Connection = ResponseHead::Connection;

std::string serialized(const ResponseHead& head) {
  std::string out;
  append_response_head(head, out);
  return out;
}

TEST(ResponseHead, Order) {
  Headers headers;
  headers.add("Content-Type", "text/plain");
  headers.add("X-A", "1");
  std::string out = "what went before";
  append_response_head({.status = 200,
                        .headers = &headers,
                        .framing = {Framing::Kind::length, 5},
                        .date = kDate,
                        .server = "fivefold",
                        .connection = Connection::close},
                       out);
  EXPECT_EQ(out,
            "what went before"
            "HTTP/1.1 200 OK\r\n"
            "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
            "Server: fivefold\r\n"
            "Content-Type: text/plain\r\n"
            "X-A: 1\r\n"
            "Content-Length: 5\r\n"
            "Connection: close\r\n"
            "\r\n");
}

TEST(ResponseHead, StatusLine) {
  struct Row {
    int status;
    std::string_view reason, expected;
  };
  const Row rows[] = {
      {404, "", "HTTP/1.1 404 Not Found\r\n"},
      {404, "Gone Fishing", "HTTP/1.1 404 Gone Fishing\r\n"},
      {404, "x\r\nSet-Cookie: a=b", "HTTP/1.1 404 Not Found\r\n"},  // CVE-2026-33523
      {404, "x\ty", "HTTP/1.1 404 Not Found\r\n"},
      {404, "caf\xc3\xa9", "HTTP/1.1 404 Not Found\r\n"},
      {299, "", "HTTP/1.1 299 Unknown\r\n"},
      {299, "Fine", "HTTP/1.1 299 Fine\r\n"},
      {418, "", "HTTP/1.1 418 Unknown\r\n"},
      {42, "", "HTTP/1.1 500 Internal Server Error\r\n"},
      {1000, "Big", "HTTP/1.1 500 Internal Server Error\r\n"},
      {-1, "", "HTTP/1.1 500 Internal Server Error\r\n"},
  };
  for (const Row& row : rows)
    EXPECT_EQ(serialized({.status = row.status, .reason = row.reason, .framing = {Framing::Kind::until_close}}),
              std::string(row.expected) + "\r\n");
}

TEST(ResponseHead, FramingIsOurs) {
  const auto framed = [](int status, Framing framing) {
    const auto whole = serialized({.status = status, .framing = framing});
    return whole.substr(whole.find('\n') + 1);
  };
  EXPECT_EQ(framed(200, {Framing::Kind::length, 0}), "Content-Length: 0\r\n\r\n");
  EXPECT_EQ(framed(200, {Framing::Kind::length, UINT64_MAX}), "Content-Length: 18446744073709551615\r\n\r\n");
  EXPECT_EQ(framed(200, {Framing::Kind::chunked}), "Transfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(framed(200, {Framing::Kind::until_close}), "\r\n");
  EXPECT_EQ(framed(304, {Framing::Kind::none}), "\r\n");
  // Whatever was asked for, 1xx and 204 have neither.
  EXPECT_EQ(framed(204, {Framing::Kind::length, 5}), "\r\n");
  EXPECT_EQ(framed(204, {Framing::Kind::chunked}), "\r\n");
  EXPECT_EQ(framed(103, {Framing::Kind::chunked}), "\r\n");
}

TEST(ResponseHead, HopByHopFieldsAreLeftOut) {
  Headers headers;
  for (const char* name : {"Content-Length", "TRANSFER-ENCODING", "connection", "Keep-Alive", "TE", "Trailer",
                           "Upgrade", "Proxy-Connection"})
    headers.add(name, "x");
  headers.add("Content-Type", "a/b");
  headers.add("Content-Lengths", "kept");
  headers.add("Te-Deum", "kept");
  EXPECT_EQ(
      serialized({.headers = &headers, .framing = {Framing::Kind::length, 1}}),
      "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Lengths: kept\r\nTe-Deum: kept\r\nContent-Length: 1\r\n\r\n");
}

TEST(ResponseHead, Upgrade) {
  Headers headers;
  headers.add("Upgrade", "websocket");
  headers.add("Connection", "x");
  EXPECT_EQ(
      serialized(
          {.status = 101, .headers = &headers, .framing = {Framing::Kind::none}, .connection = Connection::upgrade}),
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
}

TEST(ResponseHead, ConnectionWords) {
  const auto with = [](Connection connection) {
    return serialized({.framing = {Framing::Kind::none}, .connection = connection});
  };
  EXPECT_EQ(with(Connection::unsaid), "HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_EQ(with(Connection::keep_alive), "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(with(Connection::close), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
}

TEST(ResponseHead, AProgramsOwnDateAndServerStay) {
  Headers headers;
  headers.add("date", "Thu, 01 Jan 1970 00:00:00 GMT");
  headers.add("SERVER", "theirs");
  EXPECT_EQ(serialized({.headers = &headers, .framing = {Framing::Kind::none}, .date = kDate, .server = "ours"}),
            "HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\nSERVER: theirs\r\n\r\n");
}

TEST(ResponseHead, ADateOfAProgramThatIsNoneIsReplaced) {
  for (const auto* date : {"Sat, 28 Nov 2026 03:19:17 +0000", "now", "0", "Sunday, 06-Nov-94 08:49:37 GMT"}) {
    Headers headers;
    headers.add("Date", date);
    headers.add("X-A", "1");
    EXPECT_EQ(serialized({.headers = &headers, .framing = {Framing::Kind::none}, .date = kDate}),
              "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nX-A: 1\r\n\r\n");
  }
}

TEST(ResponseHead, ABadServerNameIsNotSent) {
  EXPECT_EQ(serialized({.framing = {Framing::Kind::none}, .server = "x\r\nSet-Cookie: a"}), "HTTP/1.1 200 OK\r\n\r\n");
}

TEST(Status, Phrases) {
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(413), "Content Too Large");
  EXPECT_EQ(reason_phrase(511), "Network Authentication Required");
  EXPECT_EQ(reason_phrase(299), "Unknown");
  EXPECT_EQ(reason_phrase(-5), "Unknown");
  EXPECT_EQ(reason_phrase(512), "Unknown");
  EXPECT_EQ(status_line(404), "HTTP/1.1 404 Not Found\r\n");
  EXPECT_EQ(status_line(306), "");
  EXPECT_EQ(status_line(0), "");
}

}  // namespace
}  // namespace fivefold::http
