// The chunked coding, RFC 9112 section 7.1. Every row is decoded at once and cut in two at every place.
#include "http/chunked.h"

#include <gtest/gtest.h>

#include <vector>

namespace fivefold::http {
namespace {

using namespace std::string_literals;

// The decoded body, or "400", or "incomplete: " and the body so far. `rest` is what comes after the end.
std::string decoded(const std::vector<std::string_view>& pieces, std::string* rest = nullptr,
                    ChunkedDecoder::Limits limits = {}) {
  ChunkedDecoder decoder(limits);
  std::string body;
  std::string behind;
  for (std::string_view piece : pieces) {
    while (!piece.empty() && !decoder.done()) {
      const auto step = decoder.decode(piece);
      if (!step) return step.error().code == Code::bad_request ? "400" : "another error";
      EXPECT_GT(step->consumed, 0U);
      EXPECT_LE(step->consumed, piece.size());
      EXPECT_EQ(step->done, decoder.done());
      body += step->data;
      piece.remove_prefix(step->consumed);
    }
    behind += piece;
  }
  if (rest != nullptr) *rest = behind;
  return decoder.done() ? body : "incomplete: " + body;
}

std::string decoded_in_every_way(std::string_view bytes, ChunkedDecoder::Limits limits = {}) {
  const std::string at_once = decoded({bytes}, nullptr, limits);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut)
    EXPECT_EQ(decoded({bytes.substr(0, cut), bytes.substr(cut)}, nullptr, limits), at_once) << "cut at " << cut;
  std::vector<std::string_view> single;
  for (std::size_t i = 0; i < bytes.size(); ++i) single.push_back(bytes.substr(i, 1));
  EXPECT_EQ(decoded(single, nullptr, limits), at_once);
  return at_once;
}

struct Row {
  const char* name;
  std::string bytes;
  const char* expected;
};

void check(std::initializer_list<Row> rows) {
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(decoded_in_every_way(row.bytes), row.expected);
  }
}

TEST(Chunked, GoodBodies) {
  check({
      {"empty", "0\r\n\r\n", ""},
      {"one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello"},
      {"two chunks", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "hello"},
      {"upper-case hex", "A\r\n0123456789\r\n0\r\n\r\n", "0123456789"},
      {"lower-case hex", "a\r\n0123456789\r\n0\r\n\r\n", "0123456789"},
      {"leading zeros", "0005\r\nhello\r\n000\r\n\r\n", "hello"},
      {"extension", "5;ext\r\nhello\r\n0;last\r\n\r\n", "hello"},
      {"extension with a value", "5;a=b;c=d\r\nhello\r\n0\r\n\r\n", "hello"},
      {"quoted extension", "5;a=\"x;\\\"y\"\r\nhello\r\n0\r\n\r\n", "hello"},
      {"empty quoted extension", "5;a=\"\";b\r\nhello\r\n0\r\n\r\n", "hello"},
      {"white space inside an extension", "5; a = b ; c\r\nhello\r\n0\r\n\r\n", "hello"},
      {"trailer field", "5\r\nhello\r\n0\r\nX: y\r\n\r\n", "hello"},
      {"trailer fields, one empty", "5\r\nhello\r\n0\r\nX:\r\nY: \tz\x80\r\n\r\n", "hello"},
      {"framing fields in the trailers are dropped",
       "0\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\nHost: b\r\n\r\n", ""},
      {"CRLF in the data", "4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"},
  });
}

TEST(Chunked, BadSizes) {
  check({
      {"0x", "0x5\r\nhello\r\n0\r\n\r\n", "400"},
      {"plus", "+5\r\nhello\r\n0\r\n\r\n", "400"},
      {"minus", "-5\r\nhello\r\n0\r\n\r\n", "400"},
      {"space before", " 5\r\nhello\r\n0\r\n\r\n", "400"},
      {"underscore", "5_\r\nhello\r\n0\r\n\r\n", "400"},
      {"empty", "\r\nhello\r\n0\r\n\r\n", "400"},
      {"only an extension", ";a\r\n", "400"},
      {"space behind", "5 \r\nhello\r\n0\r\n\r\n", "400"},
      {"tab behind", "5\t\r\nhello\r\n0\r\n\r\n", "400"},
      {"space before an extension", "5 ;a\r\nhello\r\n0\r\n\r\n", "400"},
      {"a letter that is no digit", "g\r\n", "400"},
      {"2^63-1", "7fffffffffffffff\r\n", "incomplete: "},
      {"2^63", "8000000000000000\r\n", "400"},
      {"2^64-1", "ffffffffffffffff\r\n", "400"},
      {"2^64+5", "10000000000000005\r\nhello\r\n0\r\n\r\n", "400"},
      {"2^32+5 is no 5", "100000005\r\nhello\r\n0\r\n\r\n", "incomplete: hello\r\n0\r\n\r\n"},
  });
}

TEST(Chunked, BadLines) {
  check({
      {"LF alone", "5\nhello\r\n0\r\n\r\n", "400"},
      {"CR alone", "5\rhello\r\n0\r\n\r\n", "400"},
      {"two CRs", "5\r\r\nhello\r\n0\r\n\r\n", "400"},
      {"NUL", "5\0\r\nhello\r\n0\r\n\r\n"s, "400"},
      {"DEL in an extension", "5;a\x7f\r\nhello\r\n0\r\n\r\n", "400"},
      {"LF in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n", "400"},
      {"CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n", "400"},
      {"CR in a quoted extension", "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n", "400"},
      {"LF in a quoted pair", "5;a=\"\\\n\"\r\nhello\r\n0\r\n\r\n", "400"},
      {"extension without a name", "5;\r\nhello\r\n0\r\n\r\n", "400"},
      {"extension without a value", "5;a=\r\nhello\r\n0\r\n\r\n", "400"},
      {"text after a quoted value", "5;a=\"b\"c\r\nhello\r\n0\r\n\r\n", "400"},
      {"space at the end of an extension", "5;a \r\nhello\r\n0\r\n\r\n", "400"},
      {"LF after the last size", "0\n\r\n", "400"},
      {"LF after the last chunk", "0\r\n\n", "400"},
      {"CR and another byte after the last chunk", "0\r\n\rX", "400"},
      {"data longer than its size", "3\r\nhello\r\n0\r\n\r\n", "400"},
      {"no CRLF behind the data", "5\r\nhello0\r\n\r\n", "400"},
      {"LF alone behind the data", "5\r\nhello\n0\r\n\r\n", "400"},
      {"CR and another byte behind the data", "5\r\nhello\rX", "400"},
  });
}

TEST(Chunked, BadTrailers) {
  check({
      {"no colon", "0\r\nX\r\n\r\n", "400"},
      {"no name", "0\r\n: x\r\n\r\n", "400"},
      {"space before the colon", "0\r\nX : y\r\n\r\n", "400"},
      {"folded", "0\r\nX: y\r\n z\r\n\r\n", "400"},
      {"control in the value", "0\r\nX: \x01\r\n\r\n", "400"},
      {"LF alone", "0\r\nX: y\n\r\n", "400"},
      {"CR alone", "0\r\nX: y\rZ\r\n\r\n", "400"},
      {"a request line is no trailer", "0\r\nGET / HTTP/1.1\r\n\r\n", "400"},
      {"a request line with a colon in front is one", "0\r\nX:POST / HTTP/1.1\r\n\r\n", ""},
  });
}

TEST(Chunked, WithoutItsEndItIsIncomplete) {
  check({
      {"nothing", "", "incomplete: "},
      {"in the size", "5", "incomplete: "},
      {"in the data", "5\r\nhel", "incomplete: hel"},
      {"behind the data", "5\r\nhello\r\n", "incomplete: hello"},
      {"no last chunk", "5\r\nhello\r\n0", "incomplete: hello"},
      {"no empty line", "5\r\nhello\r\n0\r\n", "incomplete: hello"},
      {"after the last CR", "5\r\nhello\r\n0\r\n\r", "incomplete: hello"},
  });
}

TEST(Chunked, WhatFollowsIsLeftAlone) {
  std::string rest;
  EXPECT_EQ(decoded({"5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n"}, &rest), "hello");
  EXPECT_EQ(rest, "GET / HTTP/1.1\r\n");
  ChunkedDecoder decoder;
  ASSERT_TRUE(decoder.decode("0\r\n\r\n")->done);
  const auto after = decoder.decode("more");
  ASSERT_TRUE(after);
  EXPECT_EQ(after->consumed, 0U);
  EXPECT_TRUE(after->done);
}

TEST(Chunked, Limits) {
  const ChunkedDecoder::Limits limits{.extension = 20, .trailers = 20};
  const auto size_line = [](std::size_t size) { return "0;" + std::string(size - 4, 'e') + "\r\n\r\n"; };
  EXPECT_EQ(decoded_in_every_way(size_line(20), limits), "");
  EXPECT_EQ(decoded_in_every_way(size_line(21), limits), "400");
  EXPECT_EQ(decoded_in_every_way(std::string(18, '0') + "\r\n\r\n", limits), "");
  EXPECT_EQ(decoded_in_every_way(std::string(19, '0') + "\r\n\r\n", limits), "400");
  EXPECT_EQ(decoded_in_every_way("0\r\nA: bcdef\r\nB: cdefg\r\n\r\n", limits), "");  // two lines of ten bytes
  EXPECT_EQ(decoded_in_every_way("0\r\nA: bcdef\r\nB: cdefgh\r\n\r\n", limits), "400");
  EXPECT_EQ(decoded_in_every_way("1;eeeeeeeeeeeeeee\r\nx\r\n1;eeeeeeeeeeeeeee\r\ny\r\n0\r\n\r\n", limits),
            "xy");  // each line anew
  const ChunkedDecoder::Limits defaults;
  EXPECT_EQ(defaults.extension, 1024U);
  EXPECT_EQ(defaults.trailers, 8192U);
  EXPECT_EQ(decoded({"5;" + std::string(64 * 1024, 'e')}), "400");  // CVE-2023-39326
}

TEST(Chunked, TrailersAreKeptWhenAskedFor) {
  const std::string_view bytes =
      "1\r\nx\r\n0\r\nX-Checksum: abc\r\nServer-Timing:\t a;dur=1 \r\nContent-Length: 5\r\nSet-Cookie: a=b\r\n\r\n";
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    ChunkedDecoder::Trailers trailers;
    ChunkedDecoder decoder;
    decoder.keep_trailers(trailers);
    for (std::size_t at = 0; at < bytes.size();) {
      const auto step = decoder.decode(bytes.substr(at, piece));
      ASSERT_TRUE(step);
      at += step->consumed;
    }
    ASSERT_TRUE(decoder.done());
    EXPECT_EQ(trailers.fields.wire(), "X-Checksum: abc\r\nServer-Timing: a;dur=1\r\n") << piece;
  }
}

TEST(Chunked, FieldsWithoutMeaningBehindABody) {
  for (const auto* name : {"Content-Length", "transfer-encoding", "Host", "Authorization", "Set-Cookie", "Trailer",
                           "Content-Type", "Cache-Control", "Connection", "X-Sendfile"})
    EXPECT_FALSE(is_trailer_field(name)) << name;
  for (const auto* name : {"ETag", "Server-Timing", "Digest", "grpc-status", "X-Own"})
    EXPECT_TRUE(is_trailer_field(name)) << name;
}

TEST(Chunked, Encoding) {
  EXPECT_EQ(chunk_prefix(0x1f4), "1f4\r\n");
  EXPECT_EQ(chunk_prefix(1), "1\r\n");
  EXPECT_EQ(chunk_prefix(UINT64_MAX), "ffffffffffffffff\r\n");
  const std::string body = chunk_prefix(5) + "hello" + std::string(kChunkEnd) + std::string(kLastChunk);
  EXPECT_EQ(decoded_in_every_way(body), "hello");
}

}  // namespace
}  // namespace fivefold::http
