#include "gateway/fastcgi.h"

#include <gtest/gtest.h>

namespace fivefold::gateway {
namespace {

using namespace std::string_literals;

process::StringBlock environment(std::initializer_list<std::string_view> strings) {
  process::StringBlock block;
  for (const auto text : strings) block.add(text);
  return block;
}

std::string record(int type, std::string_view content, std::size_t padding = 0, int id = 1, int version = 1) {
  std::string out{static_cast<char>(version),
                  static_cast<char>(type),
                  static_cast<char>(id >> 8),
                  static_cast<char>(id),
                  static_cast<char>(content.size() >> 8),
                  static_cast<char>(content.size()),
                  static_cast<char>(padding),
                  0};
  return out.append(content).append(padding, 'x');
}
std::string end(std::uint32_t status = 0, int protocol_status = 0, std::size_t padding = 0) {
  return record(
      3,
      std::string{static_cast<char>(status >> 24), static_cast<char>(status >> 16), static_cast<char>(status >> 8),
                  static_cast<char>(status), static_cast<char>(protocol_status), 0, 0, 0},
      padding);
}

struct Read {
  std::string output, error_output;
  bool ended = false;
  std::size_t consumed = 0;
  std::string error;
  std::string outcome;
};

// Feeds `bytes` with `step` more at a time, as a socket would.
Read read(std::string_view bytes, std::size_t step) {
  FastcgiReader reader(1);
  Read told;
  std::size_t fed = 0;
  while (true) {
    const auto got = reader.read(bytes.substr(told.consumed, fed - told.consumed));
    if (!got) {
      EXPECT_EQ(got.error().code, Code::program_failed);
      told.error = got.error().message;
      return told;
    }
    told.consumed += got->consumed;
    told.output.append(got->output);
    told.error_output.append(got->error_output);
    told.ended = got->ended;
    if (told.ended) {
      const auto outcome = reader.outcome();
      told.outcome = outcome ? std::to_string(*outcome) : outcome.error().message;
      return told;
    }
    if (got->consumed > 0) continue;
    if (fed == bytes.size()) return told;
    fed = std::min(bytes.size(), fed + step);
  }
}

TEST(Fastcgi, BeginByteByByte) {
  std::string out = "before";
  append_fastcgi_begin(1, true, environment({"A=1", "QUERY_STRING="}), out);
  EXPECT_EQ(out,
            "before"
            "\1\1\0\1\0\10\0\0"s  // BEGIN_REQUEST
            "\0\1\1\0\0\0\0\0"s   // responder, keep
            "\1\4\0\1\0\22\0\0"s  // PARAMS
            "\1\1A1"s
            "\14\0QUERY_STRING"s
            "\1\4\0\1\0\0\0\0"s);
}

TEST(Fastcgi, WithoutKeep) {
  std::string out;
  append_fastcgi_begin(0x1234, false, environment({}), out);
  EXPECT_EQ(out, "\1\1\x12\x34\0\10\0\0\0\1\0\0\0\0\0\0\1\4\x12\x34\0\0\0\0"s);
}

TEST(Fastcgi, LengthsFrom128OnTakeFourBytes) {
  for (const std::size_t size : {127u, 128u, 300u}) {
    std::string out;
    append_fastcgi_begin(1, false, environment({"N=" + std::string(size, 'v')}), out);
    const auto params = std::string_view(out).substr(24);
    if (size < 128)
      EXPECT_EQ(params.substr(0, 3), "\1\177N");
    else
      EXPECT_EQ(params.substr(0, 6), "\1\200\0"s + static_cast<char>(size >> 8) + static_cast<char>(size) + "N");
  }
}

// PHP reads the pairs of each record on their own, so a pair that fits in one may not be cut.
TEST(Fastcgi, PairsStayWhole) {
  process::StringBlock block;
  for (int i = 0; i < 5; ++i) block.add("NAME" + std::to_string(i), std::string(30'000, 'v'));
  std::string out;
  append_fastcgi_begin(1, false, block, out);
  std::vector<std::size_t> sizes;
  for (std::size_t at = 16; at < out.size();) {
    const std::size_t size = static_cast<std::uint8_t>(out[at + 4]) << 8 | static_cast<std::uint8_t>(out[at + 5]);
    sizes.push_back(size);
    at += 8 + size;
  }
  const std::size_t pair = 1 + 4 + 5 + 30'000;
  EXPECT_EQ(sizes, (std::vector<std::size_t>{2 * pair, 2 * pair, pair, 0}));
}

TEST(Fastcgi, APairLargerThanARecordGoesOn) {
  std::string out;
  append_fastcgi_begin(1, false, environment({"A=1", "N=" + std::string(200'000, 'v'), "B=2"}), out);
  std::string params;
  for (std::size_t at = 16; at < out.size();) {
    const std::size_t size = static_cast<std::uint8_t>(out[at + 4]) << 8 | static_cast<std::uint8_t>(out[at + 5]);
    params.append(out, at + 8, size);
    at += 8 + size;
    ASSERT_LE(at, out.size());
  }
  EXPECT_EQ(params, "\1\1A1\1\x80\3\x0d\x40N"s + std::string(200'000, 'v') + "\1\1B2");
}

TEST(Fastcgi, StdinHeaders) {
  std::string out;
  append_fastcgi_stdin_header(1, 65535, out);
  append_fastcgi_stdin_header(1, 0, out);
  EXPECT_EQ(out, "\1\5\0\1\xff\xff\0\0\1\5\0\1\0\0\0\0"s);
}

TEST(Fastcgi, ReadsAnAnswerHoweverItIsCut) {
  const std::string bytes = record(6, "Status: 200\r\n", 3) + record(7, "a warning", 7) + record(6, "\r\nhello", 255) +
                            record(7, "") + record(6, "") + end(7, 0, 5);
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    const auto told = read(bytes, step);
    EXPECT_EQ(told.output, "Status: 200\r\n\r\nhello");
    EXPECT_EQ(told.error_output, "a warning");
    EXPECT_TRUE(told.ended);
    EXPECT_EQ(told.outcome, "7");
    EXPECT_EQ(told.consumed, bytes.size());
  }
}

TEST(Fastcgi, LargestRecordAndPadding) {
  const std::string content(65535, 'c');
  const auto told = read(record(6, content, 255) + end(), 1000);
  EXPECT_EQ(told.output, content);
  EXPECT_TRUE(told.ended);
}

TEST(Fastcgi, BytesAfterTheEndAreLeft) {
  const auto told = read(end() + "more", 100);
  EXPECT_TRUE(told.ended);
  EXPECT_EQ(told.consumed, end().size());
}

TEST(Fastcgi, NotEndedWithoutItsPadding) {
  const auto bytes = end(0, 0, 4);
  EXPECT_FALSE(read(bytes.substr(0, bytes.size() - 1), 100).ended);
}

TEST(Fastcgi, WhatBreaksTheProtocol) {
  const struct {
    std::string bytes;
    std::string_view says;
  } rows[] = {
      {record(6, "x", 0, 2), "a record of request 2"},
      {record(6, "x", 0, 0), "a record of request 0"},
      {record(6, "x", 0, 1, 2), "a record of version 2"},
      {"HTTP/1.1 200 OK\r\n\r\n", "is this a FastCGI application"},
      {record(1, "12345678"), "of type 1"},
      {record(5, "x"), "of type 5"},
      {record(10, "x"), "of type 10"},
      {record(11, "x"), "of type 11"},
      {record(0, "x"), "of type 0"},
      {record(255, "x"), "of type 255"},
      {record(3, "1234567"), "END_REQUEST record of 7 bytes"},
      {record(3, ""), "END_REQUEST record of 0 bytes"},
      {record(3, std::string(65535, 'x')), "END_REQUEST record of 65535 bytes"},
      {record(6, "fine") + record(6, "x", 0, 3), "a record of request 3"},
  };
  for (const auto& row : rows)
    for (const std::size_t step : {1u, 7u, 1000u})
      EXPECT_NE(read(row.bytes, step).error.find(row.says), std::string::npos) << row.says;
}

TEST(Fastcgi, RefusalsInWords) {
  EXPECT_NE(read(end(0, 1), 99).outcome.find("cannot serve a second request"), std::string::npos);
  EXPECT_NE(read(end(0, 3), 99).outcome.find("responder"), std::string::npos);
  EXPECT_NE(read(end(0, 200), 99).outcome.find("protocol status 200"), std::string::npos);
  FastcgiReader reader(1);
  ASSERT_TRUE(reader.read(end(0, 2)));
  EXPECT_EQ(reader.outcome().error().code, Code::program_unavailable);
}

TEST(Fastcgi, NoOutcomeBeforeTheEnd) {
  FastcgiReader reader(1);
  ASSERT_TRUE(reader.read(record(6, "x")));
  EXPECT_EQ(reader.outcome().error().code, Code::program_failed);
}

}  // namespace
}  // namespace fivefold::gateway
