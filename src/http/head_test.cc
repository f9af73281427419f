// The request line, the host and the form of fields: RFC 9112 sections 2 to 5, and every place where this parser is
// stricter.
#include "http/head.h"

#include <gtest/gtest.h>

#include "http/head_testing.h"

namespace fivefold::http {
namespace {

using namespace std::string_literals;

struct Row {
  const char* name;
  std::string bytes;
  const char* expected;
};

void check(std::initializer_list<Row> rows) {
  for (const Row& row : rows) EXPECT_EQ(verdict(row.bytes), row.expected) << row.name << ": " << row.bytes;
}

std::string line(const std::string& request_line) { return request_line + "\r\nHost: a\r\n\r\n"; }
std::string field(const std::string& field_line) { return "GET / HTTP/1.1\r\nHost: a\r\n" + field_line + "\r\n\r\n"; }
std::string host(const std::string& value) { return "GET / HTTP/1.1\r\nHost:" + value + "\r\n\r\n"; }

TEST(Head, RequestLine) {
  check({
      {"the plain case", line("GET / HTTP/1.1"), "ok"},
      {"one empty line before", "\r\n" + line("GET / HTTP/1.1"), "ok"},
      {"two empty lines before", "\r\n\r\n" + line("GET / HTTP/1.1"), "400"},
      {"three empty lines before", "\r\n\r\n\r\n" + line("GET / HTTP/1.1"), "400"},
      {"LF before", "\n" + line("GET / HTTP/1.1"), "400"},
      {"leading space", line(" GET / HTTP/1.1"), "400"},
      {"two spaces after the method", line("GET  / HTTP/1.1"), "400"},
      {"two spaces after the target", line("GET /  HTTP/1.1"), "400"},
      {"space after the version", line("GET / HTTP/1.1 "), "400"},
      {"tab after the method", line("GET\t/ HTTP/1.1"), "400"},
      {"tab after the target", line("GET /\tHTTP/1.1"), "400"},
      {"form feed as separator", line("GET\f/ HTTP/1.1"), "400"},
      {"CR as separator", line("GET\r/ HTTP/1.1"), "400"},
      {"space in the target", line("GET /a b HTTP/1.1"), "400"},
      {"words after the version", line("GET / HTTP/1.1 x"), "400"},
      {"HTTP/0.9", "GET /\r\n", "400"},
      {"only a method", line("GET"), "400"},
      {"no target", line("GET HTTP/1.1"), "400"},
      {"empty target", line("GET  HTTP/1.1"), "400"},
      {"TLS on the plain port", "\x16\x03\x01\x02\x00\x01"s, "400"},
      {"nothing yet", "", "incomplete"},
      {"half a line", "GET / HTT", "incomplete"},
      {"without the last line feed", "GET / HTTP/1.1\r\nHost: a\r\n\r", "incomplete"},
  });
}

TEST(Head, Method) {
  check({
      {"lower case is another method", line("get / HTTP/1.1"), "ok"},
      {"unknown method", line("FOO / HTTP/1.1"), "ok"},
      {"NUL", line("G\0T / HTTP/1.1"s), "400"},
      {"no token", line("GE(T / HTTP/1.1"), "400"},
      {"8-bit", line("G\xe9T / HTTP/1.1"), "400"},
      {"colon", line("GET: / HTTP/1.1"), "400"},
  });
  const std::pair<const char*, Method> methods[] = {
      {"GET", Method::get},        {"HEAD", Method::head},   {"POST", Method::post},       {"PUT", Method::put},
      {"DELETE", Method::delete_}, {"PATCH", Method::patch}, {"OPTIONS", Method::options}, {"TRACE", Method::trace},
      {"PROPFIND", Method::other}, {"get", Method::other},   {"Get", Method::other},       {"GETS", Method::other},
      {"M-SEARCH", Method::other},
  };
  for (const auto& [text, method] : methods) {
    Head head;
    EXPECT_EQ(verdict(line(std::string(text) + " / HTTP/1.1"), head), "ok");
    EXPECT_EQ(head.method, method) << text;
  }
}

TEST(Head, Version) {
  check({
      {"1.0", line("GET / HTTP/1.0"), "ok"},
      {"1.2 is 1.1 to us", line("GET / HTTP/1.2"), "ok"},
      {"1.9", line("GET / HTTP/1.9"), "ok"},
      {"1.11", line("GET / HTTP/1.11"), "400"},
      {"01.1", line("GET / HTTP/01.1"), "400"},
      {"1", line("GET / HTTP/1"), "400"},
      {"1.", line("GET / HTTP/1."), "400"},
      {"space inside", line("GET / HTTP/ 1.1"), "400"},
      {"lower case", line("GET / http/1.1"), "400"},
      {"misspelt", line("GET / HTT/1.1"), "400"},
      {"another protocol", line("GET / ICAP/1.0"), "400"},
      {"0.9", line("GET / HTTP/0.9"), "400"},
      {"comma", line("GET / HTTP/1,1"), "400"},
      {"2.0", line("GET / HTTP/2.0"), "505"},
      {"3.0", line("GET / HTTP/3.0"), "505"},
      {"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
  });
}

TEST(Head, Target) {
  check({
      {"fragment", line("GET /#frag HTTP/1.1"), "400"},
      {"NUL", line("GET /\0 HTTP/1.1"s), "400"},
      {"control", line("GET /\x01 HTTP/1.1"), "400"},
      {"DEL", line("GET /\x7f HTTP/1.1"), "400"},
      {"8-bit", line("GET /caf\xc3\xa9 HTTP/1.1"), "400"},
      {"8-bit in the query", line("GET /?\xff HTTP/1.1"), "400"},
      {"asterisk with OPTIONS", line("OPTIONS * HTTP/1.1"), "ok"},
      {"asterisk with GET", line("GET * HTTP/1.1"), "400"},
      {"asterisk and more", line("OPTIONS *x HTTP/1.1"), "400"},
      {"absolute", line("GET http://a.example/x HTTP/1.1"), "ok"},
      {"absolute, scheme in capitals", line("GET HTTP://a.example/x HTTP/1.1"), "ok"},
      {"absolute https", line("GET https://a.example/x HTTP/1.1"), "ok"},
      {"absolute without a host", line("GET http:///x HTTP/1.1"), "400"},
      {"absolute with a user", line("GET http://u@a/ HTTP/1.1"), "400"},
      {"absolute with user and password", line("GET http://u:p@a/ HTTP/1.1"), "400"},
      {"absolute with a bad port", line("GET http://a:x/ HTTP/1.1"), "400"},
      {"absolute with port 65536", line("GET http://a:65536/ HTTP/1.1"), "400"},
      {"absolute with a bad IPv6 address", line("GET http://[::g]/ HTTP/1.1"), "400"},
      {"another scheme", line("GET ftp://a/ HTTP/1.1"), "400"},
      {"no scheme and no slash", line("GET a HTTP/1.1"), "400"},
      {"authority with GET", line("GET a:80 HTTP/1.1"), "400"},
      {"CONNECT", line("CONNECT a.example:443 HTTP/1.1"), "ok"},
      {"CONNECT without a port", line("CONNECT a.example HTTP/1.1"), "400"},
      {"CONNECT with an empty port", line("CONNECT a.example: HTTP/1.1"), "400"},
      {"CONNECT with a path", line("CONNECT / HTTP/1.1"), "400"},
      {"backslash is an ordinary byte", line("GET /a\\b HTTP/1.1"), "ok"},
      {"escapes are not looked at here", line("GET /%zz%00 HTTP/1.1"), "ok"},
  });
}

TEST(Head, TargetParts) {
  struct Parts {
    const char* request_line;
    TargetForm form;
    const char *raw_path, *query;
    bool has_query;
    const char *host, *host_field;
    int port;  // -1: none
  };
  const Parts rows[] = {
      {"GET /a/b?c=d HTTP/1.1", TargetForm::origin, "/a/b", "c=d", true, "field.example", "field.example:81", 81},
      {"GET /a HTTP/1.1", TargetForm::origin, "/a", "", false, "field.example", "field.example:81", 81},
      {"GET /a? HTTP/1.1", TargetForm::origin, "/a", "", true, "field.example", "field.example:81", 81},
      {"GET /a?b?c HTTP/1.1", TargetForm::origin, "/a", "b?c", true, "field.example", "field.example:81", 81},
      {"GET //a HTTP/1.1", TargetForm::origin, "//a", "", false, "field.example", "field.example:81", 81},
      {"GET http://A.example/p?q HTTP/1.1", TargetForm::absolute, "/p", "q", true, "A.example", "A.example", -1},
      {"GET http://a HTTP/1.1", TargetForm::absolute, "/", "", false, "a", "a", -1},
      {"GET http://a?q HTTP/1.1", TargetForm::absolute, "/", "q", true, "a", "a", -1},
      {"GET http://a.:8080/ HTTP/1.1", TargetForm::absolute, "/", "", false, "a", "a.:8080", 8080},
      {"OPTIONS * HTTP/1.1", TargetForm::asterisk, "*", "", false, "field.example", "field.example:81", 81},
      {"CONNECT b:443 HTTP/1.1", TargetForm::authority, "b:443", "", false, "b", "b:443", 443},
  };
  Head head;  // one for all: nothing of an earlier request may stay
  for (const Parts& row : rows) {
    SCOPED_TRACE(row.request_line);
    ASSERT_EQ(verdict(std::string(row.request_line) + "\r\nHost: field.example:81\r\n\r\n", head), "ok");
    const std::string bytes = std::string(row.request_line) + "\r\nHost: field.example:81\r\n\r\n";
    ASSERT_TRUE(HeadParser({}).parse(bytes, head));
    EXPECT_EQ(head.form, row.form);
    EXPECT_EQ(head.raw_path, row.raw_path);
    EXPECT_EQ(head.query, row.query);
    EXPECT_EQ(head.has_query, row.has_query);
    EXPECT_EQ(head.host, row.host);
    EXPECT_EQ(head.host_field, row.host_field);
    EXPECT_EQ(head.port ? *head.port : -1, row.port);
  }
}

TEST(Head, Host) {
  check({
      {"none on 1.1", "GET / HTTP/1.1\r\n\r\n", "400"},
      {"none on 1.1 with an absolute target", "GET http://a/ HTTP/1.1\r\n\r\n", "400"},
      {"none on 1.0", "GET / HTTP/1.0\r\n\r\n", "ok"},
      {"two, equal", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400"},
      {"two, different", "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", "400"},
      {"two on 1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
      {"empty", host(""), "400"},
      {"only white space", host(" \t "), "400"},
      {"empty on 1.0", "GET / HTTP/1.0\r\nHost:\r\n\r\n", "400"},
      {"list", host(" a, b"), "400"},
      {"list without a space", host(" a,b"), "400"},
      {"path", host(" a/b"), "400"},
      {"user", host(" u@a"), "400"},
      {"space", host(" a b"), "400"},
      {"leading dots", host(" ..a"), "400"},
      {"empty label", host(" a..b"), "400"},
      {"port too large", host(" a:99999"), "400"},
      {"two ports", host(" a:1:2"), "400"},
      {"letters after an address", host(" [::1]x"), "400"},
      {"8-bit", host(" a\xa0"), "400"},
      {"bad even beside an absolute target", "GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n", "400"},
      {"different from an absolute target", "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", "ok"},
      {"IPv6 with port", host(" [::1]:80"), "ok"},
      {"IPv4", host(" 127.0.0.1:8110"), "ok"},
      {"trailing dot and port", host(" EXAMPLE.COM.:80"), "ok"},
  });
}

TEST(Head, FieldLines) {
  check({
      {"space before the colon", field("Foo : x"), "400"},
      {"tab before the colon", field("Foo\t: x"), "400"},
      {"space in the name", field("Foo x: y"), "400"},
      {"no name", field(": x"), "400"},
      {"a colon alone", field(":"), "400"},
      {"no colon", field("Foo"), "400"},
      {"bracket in the name", field("F[]: x"), "400"},
      {"control in the name", field("F\x01o: x"), "400"},
      {"8-bit in the name", field("\xef\x46: x"), "400"},
      {"CR in the name", field("F\ro: x"), "400"},
      {"quoted name", field("\"Foo\": x"), "400"},
      {"white space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400"},
      {"tab before a field", field("\tFoo: x"), "400"},
      {"folded", field("X: b\r\n c"), "400"},
      {"folded by a tab", field("X: b\r\n\tc"), "400"},
      {"folded to nothing", field("X: b\r\n "), "400"},
      {"NUL in the value", field("X: a\0b"s), "400"},
      {"control in the value", field("X: a\x1f"), "400"},
      {"DEL in the value", field("X: a\x7f"), "400"},
      {"CR in the value", field("X: a\rb"), "400"},
      {"two CRs", field("X: a\r"), "400"},
      {"empty value", field("X:"), "ok"},
      {"tab inside", field("X: a\tb"), "ok"},
      {"no white space", field("X:a"), "ok"},
      {"obs-text", field("X: \x80\xff"), "ok"},
      {"underscore in the name", field("X_Forwarded_For: a"), "ok"},
      {"dot in the name", field("X.F: a"), "ok"},
      {"exclamation mark in the name", field("!Custom: a"), "ok"},
      {"LF alone ends no field", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", "400"},
      {"LF alone ends no request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", "400"},
      {"LF alone ends no head", "GET / HTTP/1.1\r\nHost: a\r\n\n", "400"},
      {"CR alone ends nothing", "GET / HTTP/1.1\rHost: a\r\r", "400"},
      {"CR and another byte end no head", "GET / HTTP/1.1\r\nHost: a\r\n\rZ", "400"},
  });
}

TEST(Head, FieldsAreViewsWithoutWhiteSpaceAround) {
  const std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\nA:\t 1 2 \t\r\nB:\r\nC: ,\t\r\na: 3\r\n\r\nbody";
  Head head;
  const auto parsed = HeadParser({}).parse(bytes, head);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(bytes.substr(parsed->consumed), "body");
  ASSERT_EQ(head.fields.size(), 5U);
  EXPECT_EQ(head.fields[1].name, "A");
  EXPECT_EQ(head.fields[1].value, "1 2");
  EXPECT_EQ(head.fields[2].value, "");
  EXPECT_EQ(head.fields[3].value, ",");
  EXPECT_EQ(head.field("a"), "1 2");  // the first of that name, whatever its case
  EXPECT_EQ(head.field("b"), "");
  EXPECT_EQ(head.field("missing"), std::nullopt);
  EXPECT_EQ(head.method_text, "GET");
  EXPECT_EQ(head.minor_version, 1);
}

TEST(Head, PipelinedHeadsAreFoundOneAfterTheOther) {
  const std::string bytes = "\r\nGET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.0\r\n\r\n";
  HeadParser parser({});
  Head head;
  const auto first = parser.parse(bytes, head);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->consumed, 2 + 17 + 9 + 2U);
  EXPECT_EQ(head.target, "/1");
  const auto second = parser.parse(std::string_view(bytes).substr(first->consumed), head);
  ASSERT_TRUE(second);
  EXPECT_EQ(head.target, "/2");
  EXPECT_EQ(head.host, "");
  EXPECT_TRUE(head.fields.empty());
  EXPECT_EQ(first->consumed + second->consumed, bytes.size());
}

TEST(Head, AResetParserForgetsTheHeadBefore) {
  HeadParser parser({});
  Head head;
  ASSERT_EQ(verdict_of(parser.parse("POST /long/path/that/never/ends", head)), "incomplete");
  parser.reset();
  EXPECT_EQ(verdict_of(parser.parse("GET / HTTP/1.0\r\n\r\n", head)), "ok");
}

TEST(Head, ErrorsSayWhatToDo) {
  Head head;
  const auto parsed = HeadParser({}).parse("GET / HTTP/1.1\r\nHost: a\r\nFo\x01o: x\r\n\r\n", head);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().message, "The request head holds the control byte \\x01; leave it out.");
}

}  // namespace
}  // namespace fivefold::http
