// A second opinion: whatever head this parser takes, Boost.Beast takes too and reads the same out of it. One difference
// is meant: Beast refuses Connection options that are no tokens, which mean nothing here.
#include <gtest/gtest.h>

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <random>

#include "base/text.h"
#include "http/head_testing.h"

namespace fivefold::http {
namespace {

namespace beast = boost::beast::http;

class Heads {
 public:
  std::string next() {
    std::string bytes =
        pick({"GET", "POST", "HEAD", "OPTIONS", "PROPFIND", "X-Y"}) + " " +
        pick({"/", "/a/b?c=d", "/%20?", "http://a.example:81/x", "/a;b=c,d|e\\f", "*", "//", "/#f", "/a b"}) +
        " HTTP/1." + pick({"1", "0", "1", "1"}) + "\r\n";
    const auto count = random_() % 8;
    for (std::size_t i = 0; i < count; ++i)
      bytes += pick({"Accept", "Host", "X-A", "x_b", "Connection", "Content-Length", "Transfer-Encoding", "Cookie",
                     "A B", "Expect"}) +
               pick({":", ": ", ":\t ", " :"}) +
               pick({"", "a", "close", "keep-alive", "5", "0", "chunked", "gzip", "a, b;q=1", "100-continue",
                     "\x80\xff", "a\tb", "upgrade"}) +
               pick({"", " ", "\t"}) + pick({"\r\n", "\r\n", "\r\n", "\r\n ", "\n"});
    if (random_() % 4 != 0) bytes += "Host: a.example\r\n";
    return bytes + "\r\n";
  }

 private:
  std::string pick(std::initializer_list<const char*> choices) { return choices.begin()[random_() % choices.size()]; }
  std::mt19937 random_{1};
};

bool has_odd_connection_options(const Head& head) {
  for (const Field& field : head.fields) {
    bool odd = false;
    if (equals_ignoring_case(field.name, "Connection"))
      for_each_list_item(field.value, [&](std::string_view option) { odd = odd || !is_token(option); });
    if (odd) return true;
  }
  return false;
}

TEST(HeadBesideBeast, WhatWeTakeItTakesAndReadsAlike) {
  Heads heads;
  int taken = 0;
  for (int round = 0; round < 20'000; ++round) {
    const std::string bytes = heads.next();
    Head head;
    const auto parsed = HeadParser({}).parse(bytes, head);
    if (!parsed || has_odd_connection_options(head)) continue;
    SCOPED_TRACE(bytes);
    ++taken;
    beast::request_parser<beast::empty_body> parser;
    parser.skip(false);
    boost::system::error_code error;
    const auto consumed = parser.put(boost::asio::buffer(bytes), error);
    // Beast stops at the end of the head; a body that is announced and has not come is no error.
    ASSERT_FALSE(error && error != beast::error::need_more && error != beast::error::unexpected_body)
        << error.message();
    ASSERT_TRUE(parser.is_header_done());
    EXPECT_EQ(consumed, parsed->consumed);
    const auto& theirs = parser.get();
    EXPECT_EQ(std::string_view(theirs.method_string()), head.method_text);
    EXPECT_EQ(std::string_view(theirs.target()), head.target);
    EXPECT_EQ(theirs.version(), 10U + static_cast<unsigned>(head.minor_version));
    EXPECT_EQ(parser.chunked(), head.chunked);
    EXPECT_EQ(parser.keep_alive(), head.keep_alive);
    EXPECT_EQ(std::distance(theirs.begin(), theirs.end()), static_cast<std::ptrdiff_t>(head.fields.size()));
    for (const Field& field : head.fields) {
      const auto [first, last] = theirs.equal_range(field.name);
      EXPECT_TRUE(std::any_of(first, last, [&](const auto& their) {
        return std::string_view(their.value()) == field.value;
      })) << field.name;
    }
  }
  EXPECT_GT(taken, 500);
}

}  // namespace
}  // namespace fivefold::http
