#include "gateway/worker_frames.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace fivefold::gateway {
namespace {

using testing::HasSubstr;
using worker::Frame;
using worker::FrameHeader;

std::string frame(Frame kind, std::string_view content, std::uint8_t flags = 0, std::uint32_t stream = 7) {
  const FrameHeader header{
      .size = static_cast<std::uint32_t>(content.size()), .kind = kind, .flags = flags, .stream = stream};
  return std::string(reinterpret_cast<const char*>(&header), sizeof header).append(content);
}

std::string error_of(std::string_view bytes, std::size_t head_limit = 1000) {
  WorkerFrameReader reader(head_limit);
  while (true) {
    const auto piece = reader.read(bytes);
    if (!piece) {
      EXPECT_EQ(piece.error().code, Code::program_failed);
      return piece.error().message;
    }
    if (piece->consumed == 0) return "";
    bytes.remove_prefix(piece->consumed);
  }
}

TEST(WorkerRequestFrame, HasItsVariablesAndLeavesRoomForTheBody) {
  process::StringBlock variables;
  variables.add("REQUEST_METHOD", "POST");
  variables.add("PATH_INFO", "");
  std::string out;
  append_worker_request({.stream = 3, .body_length = 10, .time_limit_ms = 300'000, .first_body = 4, .body_ends = false},
                        variables, out);
  FrameHeader header;
  worker::RequestHeader request;
  ASSERT_GE(out.size(), sizeof header + sizeof request);
  std::memcpy(&header, out.data(), sizeof header);
  std::memcpy(&request, out.data() + sizeof header, sizeof request);
  EXPECT_EQ(header.kind, Frame::request);
  EXPECT_EQ(header.flags, 0);
  EXPECT_EQ(header.stream, 3u);
  EXPECT_EQ(header.size, sizeof request + 31 + 4) << "the variables and the body's first bytes belong to the frame";
  EXPECT_EQ(request.body_length, 10u);
  EXPECT_EQ(request.time_limit_ms, 300'000u);
  EXPECT_EQ(request.variables, 2u);
  EXPECT_EQ(out.size(), sizeof header + sizeof request);
  EXPECT_EQ(request.variables_size, 31u);
  EXPECT_EQ(variables.bytes().size(), 31u);
  EXPECT_EQ(room_for_body(variables), worker::kMostFrame - sizeof request - 31);
}

TEST(WorkerRequestFrame, SaysThatTheBodyEndsAndThatItIsAHead) {
  std::string out;
  append_worker_request({.stream = 1, .head = true}, {}, out);
  FrameHeader header;
  std::memcpy(&header, out.data(), sizeof header);
  EXPECT_EQ(header.flags, worker::kLast | worker::kHead);
}

TEST(WorkerRequestFrame, VariablesThatNoFrameHoldsDoNotFit) {
  process::StringBlock variables;
  variables.add(std::string(worker::kMostFrame - sizeof(worker::RequestHeader) - 1, 'x'));
  EXPECT_TRUE(request_fits(variables));
  EXPECT_EQ(room_for_body(variables), 0u);
  variables.add("");
  EXPECT_FALSE(request_fits(variables));
  EXPECT_EQ(room_for_body(variables), 0u);
}

TEST(WorkerFrameReader, HandsContentOutAsItComes) {
  WorkerFrameReader reader(100);
  const auto bytes = frame(Frame::output, "hello") + frame(Frame::end, "", worker::kIdle);
  auto piece = reader.read(std::string_view(bytes).substr(0, 11));
  ASSERT_TRUE(piece);
  EXPECT_EQ(piece->consumed, 0u) << "a header that is not whole";
  piece = reader.read(std::string_view(bytes).substr(0, 14));
  ASSERT_TRUE(piece);
  EXPECT_EQ(piece->consumed, 14u);
  EXPECT_EQ(piece->bytes, "he");
  EXPECT_TRUE(piece->begins);
  EXPECT_FALSE(piece->whole);
  EXPECT_FALSE(reader.between_frames());
  piece = reader.read(std::string_view(bytes).substr(14));
  ASSERT_TRUE(piece);
  EXPECT_EQ(piece->bytes, "llo");
  EXPECT_FALSE(piece->begins);
  EXPECT_TRUE(piece->whole);
  piece = reader.read(std::string_view(bytes).substr(17));
  ASSERT_TRUE(piece);
  EXPECT_EQ(piece->kind, Frame::end);
  EXPECT_EQ(piece->flags, worker::kIdle);
  EXPECT_EQ(piece->stream, 7u);
  EXPECT_TRUE(piece->begins && piece->whole);
  EXPECT_TRUE(reader.between_frames());
}

TEST(WorkerFrameReader, ANumberComesWhole) {
  WorkerFrameReader reader(100);
  const std::uint32_t wanted = 70'000;
  const auto bytes = frame(Frame::want, {reinterpret_cast<const char*>(&wanted), sizeof wanted});
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_EQ(reader.read(std::string_view(bytes).substr(0, size))->consumed, 0u);
  EXPECT_EQ(reader.read(bytes)->number, wanted);
}

TEST(WorkerFrameReader, RefusesWhatAWorkerDoesNotSay) {
  EXPECT_THAT(error_of(frame(Frame::request, "x")), HasSubstr("a frame of kind 1"));
  EXPECT_THAT(error_of(frame(Frame::body, "x")), HasSubstr("a frame of kind 2"));
  EXPECT_THAT(error_of(frame(static_cast<Frame>(99), "")), HasSubstr("a frame of kind 99"));
  EXPECT_THAT(error_of(frame(Frame::idle, "x")), HasSubstr("'idle' of 1 bytes"));
  EXPECT_THAT(error_of(frame(Frame::end, std::string(worker::kMostText + 1, 'x'))), HasSubstr("'end' of 4097 bytes"));
  EXPECT_THAT(error_of(frame(Frame::end, "", 0x80)), HasSubstr("'end' with flags 128"));
  EXPECT_THAT(error_of(frame(Frame::output, "x", 1)), HasSubstr("'output' with flags 1"));
  EXPECT_THAT(error_of(frame(Frame::want, "xx")), HasSubstr("a 'want' without a number"));
  FrameHeader huge{.size = 0xffffffff, .kind = Frame::output};
  EXPECT_THAT(error_of({reinterpret_cast<const char*>(&huge), sizeof huge}), HasSubstr("of 4294967295 bytes"));
  EXPECT_EQ(error_of(frame(Frame::output, std::string(worker::kMostOutput, 'x'))), "");
  EXPECT_EQ(error_of(frame(Frame::log, "a line", 3)), "");
}

TEST(WorkerFrameReader, AHeadOverItsLimitNamesTheSetting) {
  EXPECT_EQ(error_of(frame(Frame::head, std::string(100, 'x')), 100), "");
  EXPECT_THAT(error_of(frame(Frame::head, std::string(101, 'x')), 100), HasSubstr("101 bytes, more than output_head"));
}

}  // namespace
}  // namespace fivefold::gateway
