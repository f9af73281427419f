#include "gateway/cgi_response.h"

#include <gtest/gtest.h>

namespace fivefold::gateway {
namespace {

using Kind = CgiHead::Kind;

struct Outcome {
  Result<std::size_t> parsed;
  CgiHead head;
};

Outcome parse(std::string_view bytes, CgiHeadLimits limits = {}) {
  CgiHeadParser parser(limits);
  Outcome outcome;
  outcome.parsed = parser.parse(bytes, outcome.head);
  return outcome;
}

TEST(CgiResponse, DocumentWithEitherLineEnd) {
  for (const std::string head : {"Content-Type: text/plain\nX-A: 1\n\n", "Content-Type: text/plain\r\nX-A: 1\r\n\r\n",
                                 "Content-Type:text/plain\nX-A:  1 \r\n\n"}) {
    const auto [parsed, out] = parse(head + "body");
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(*parsed, head.size());
    EXPECT_EQ(out.status, 200);
    EXPECT_FALSE(out.status_given);
    EXPECT_EQ(out.headers.get("Content-Type"), "text/plain");
    EXPECT_EQ(out.headers.get("X-A"), "1");
  }
}

TEST(CgiResponse, NotWholeYet) {
  CgiHeadParser parser;
  CgiHead head;
  const std::string bytes = "Status: 404 Not Found\r\nContent-Type: a/b\r\n\r\n";
  for (std::size_t i = 0; i < bytes.size(); ++i)
    EXPECT_EQ(parser.parse(std::string_view(bytes).substr(0, i), head).value(), 0u);
  EXPECT_EQ(parser.parse(bytes, head).value(), bytes.size());
  EXPECT_EQ(head.status, 404);
  EXPECT_EQ(head.reason, "Not Found");
}

TEST(CgiResponse, StatusForms) {
  EXPECT_EQ(parse("Status: 201\n\n").head.status, 201);
  EXPECT_EQ(parse("status:599 Odd\n\n").head.reason, "Odd");
  EXPECT_EQ(parse("Status: 200 caf\xc3\xa9\n\n").head.reason, "");
  EXPECT_EQ(parse("Status: 200 OK\nStatus: 200 OK\n\n").head.status, 200);
  for (const char* bad :
       {"Status: 99\n\n", "Status: 100\n\n", "Status: 600\n\n", "Status: 2000\n\n", "Status: OK\n\n", "Status: 20\n\n",
        "Status:\n\n", "Status: 200OK\n\n", "Status: +200\n\n", "Status: 200\nStatus: 404\n\n"}) {
    const auto outcome = parse(bad);
    ASSERT_FALSE(outcome.parsed) << bad;
    EXPECT_EQ(outcome.parsed.error().code, Code::program_failed);
  }
}

TEST(CgiResponse, Locations) {
  struct Row {
    const char* head;
    Kind kind;
    int status;
    const char* location;
    const char* local;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"Location: /a?b=c\n\n", Kind::local_redirect, 200, "", "/a?b=c"},
           {"Status: 200 OK\nLocation: /a\n\n", Kind::local_redirect, 200, "", "/a"},
           {"Status: 301\nLocation: /a\n\n", Kind::document, 301, "/a", ""},
           {"Status: 201\nLocation: /a\n\n", Kind::document, 201, "/a", ""},
           {"Location: http://x/y\n\n", Kind::client_redirect, 302, "http://x/y", ""},
           {"Location: relative\n\n", Kind::client_redirect, 302, "relative", ""},
           {"Location: //other/x\n\n", Kind::client_redirect, 302, "//other/x", ""},
           {"Location: /x#part\n\n", Kind::client_redirect, 302, "/x#part", ""},
           {"Location: /a b\n\n", Kind::client_redirect, 302, "/a b", ""},
           {"Location:\n\n", Kind::document, 200, "", ""},
       }) {
    const auto outcome = parse(row.head);
    ASSERT_TRUE(outcome.parsed) << row.head;
    EXPECT_EQ(outcome.head.kind, row.kind) << row.head;
    EXPECT_EQ(outcome.head.status, row.status) << row.head;
    EXPECT_EQ(outcome.head.headers.get("Location"), row.location) << row.head;
    EXPECT_EQ(outcome.head.local_target, row.local) << row.head;
  }
  EXPECT_FALSE(parse("Location: /a\nLocation: /b\n\n").parsed);
}

TEST(CgiResponse, RefusesWhatIsMalformedAndShowsIt) {
  for (const std::string& bad :
       {std::string("hello world\n\n"), std::string("Foo : x\n\n"), std::string(": x\n\n"),
        std::string("A: b\n continued\n\n"), std::string("A: b\x01\n\n"), std::string("A: b\0c\n\n", 8),
        std::string("A: b\rc\n\n"), std::string("A: b\r\r\n\n"), std::string("A\xff: b\n\n"), std::string("<html>\n"),
        std::string("HTTP/1.1 OK\n\n"), std::string("HTTP/1.1 101 Switching\n\n"), std::string("HTTP/2 200\n\n"),
        std::string("HTTP/1.1 200OK\n\n")}) {
    const auto outcome = parse(bad);
    ASSERT_FALSE(outcome.parsed) << bad;
    EXPECT_EQ(outcome.parsed.error().code, Code::program_failed);
  }
  EXPECT_NE(parse("hello world\n").parsed.error().message.find("\"hello world\""), std::string::npos);
}

TEST(CgiResponse, FramingIsTheServers) {
  EXPECT_EQ(parse("Content-Length: 12\n\n").head.content_length, 12u);
  EXPECT_FALSE(parse("Content-Length: 12\n\n").head.headers.has("Content-Length"));
  for (const char* bad : {"Content-Length: 1\nContent-Length: 2\n\n", "Content-Length: 1\nContent-Length: 1\n\n",
                          "Content-Length: 1, 1\n\n", "Content-Length: -1\n\n", "Content-Length: 0x1\n\n",
                          "Content-Length:\n\n", "Content-Length: 18446744073709551616\n\n",
                          "Transfer-Encoding: chunked\n\n", "transfer-encoding: identity\n\n"})
    EXPECT_FALSE(parse(bad).parsed) << bad;
  const auto head =
      parse("Connection: close\nKeep-Alive: 1\nTE: x\nUpgrade: h2c\nTrailer: a\nProxy-Connection: x\nX-Kept: y\n\n")
          .head;
  EXPECT_EQ(head.headers.wire(), "X-Kept: y\r\n");
}

TEST(CgiResponse, StatusLineOfNonParsedHeaderPrograms) {
  const auto plain = parse("HTTP/1.0 404 Gone away\r\nContent-Type: a/b\r\nConnection: close\r\n\r\nx");
  ASSERT_TRUE(plain.parsed);
  EXPECT_EQ(plain.head.status, 404);
  EXPECT_EQ(plain.head.reason, "Gone away");
  EXPECT_EQ(plain.head.headers.wire(), "Content-Type: a/b\r\n");

  const auto interim = parse("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 201 Made\r\nX: y\r\n\r\n");
  ASSERT_TRUE(interim.parsed);
  EXPECT_EQ(interim.head.status, 201);
  EXPECT_EQ(interim.head.headers.wire(), "X: y\r\n");

  EXPECT_FALSE(parse("HTTP/1.1 200 OK\n\n", {.status_line = false}).parsed);
  EXPECT_FALSE(parse("A: b\nHTTP/1.1 200 OK\n\n").parsed);
}

TEST(CgiResponse, FilesToSend) {
  EXPECT_EQ(parse("X-Sendfile: /srv/a\nX-Accel-Buffering: no\nX-Accel-Expires: 3\n\n").head.send_file, "/srv/a");
  EXPECT_EQ(parse("X-Accel-Redirect: /a/b\n\n").head.send_file, "/a/b");
  EXPECT_TRUE(parse("X-LIGHTTPD-send-file: /a\nX-Accel-Buffering: no\n\n").head.headers.empty());
  EXPECT_FALSE(parse("X-Sendfile: /a\nX-Accel-Redirect: /b\n\n").parsed);
}

TEST(CgiResponse, RepeatedFields) {
  const auto head = parse("Set-Cookie: a=1\nSet-Cookie: b=2\nContent-Type: a/b\nContent-Type: c/d\n\n").head;
  EXPECT_EQ(head.headers.get("Content-Type"), "c/d");
  int cookies = 0;
  head.headers.for_each([&](std::string_view name, std::string_view) { cookies += name == "Set-Cookie"; });
  EXPECT_EQ(cookies, 2);
}

TEST(CgiResponse, Limits) {
  const CgiHeadLimits small{.head = 64, .fields = 3};
  EXPECT_TRUE(parse("A: " + std::string(58, 'x') + "\n\n", small).parsed);
  EXPECT_FALSE(parse("A: " + std::string(60, 'x') + "\n\n", small).parsed);
  EXPECT_FALSE(parse(std::string(64, 'x'), small).parsed);
  EXPECT_TRUE(parse("A:1\nB:2\nC:3\n\n", small).parsed);
  EXPECT_FALSE(parse("A:1\nB:2\nC:3\nD:4\n\n", small).parsed);
}

TEST(CgiResponse, EndsEarly) {
  EXPECT_EQ(CgiHeadParser::ended_early("").message, "the program ended without any output");
  EXPECT_NE(CgiHeadParser::ended_early("Content-Type: x\n").message.find("Content-Type: x"), std::string::npos);
}

TEST(CgiResponse, NoFieldsAtAllIsAnEmptyHead) {
  const auto outcome = parse("\nhello");
  EXPECT_EQ(outcome.parsed.value(), 1u);
  EXPECT_TRUE(outcome.head.headers.empty());
}

}  // namespace
}  // namespace fivefold::gateway
