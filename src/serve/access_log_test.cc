#include "serve/access_log.h"

#include <gtest/gtest.h>

namespace fivefold::serve {
namespace {

AccessEntry example() {
  return {.client = "192.0.2.7",
          .unix_seconds = 971186136,
          .method = "GET",
          .target = "/a?b",
          .status = 200,
          .bytes = 42,
          .duration = std::chrono::microseconds(1500),
          .user_agent = "curl/8"};
}

std::string line(const AccessEntry& entry, config::LogFormat format = config::LogFormat::combined) {
  std::string out;
  append_access_line(entry, format, out);
  return out;
}

TEST(AccessLog, CombinedIsWhatLogToolsRead) {
  EXPECT_EQ(line(example()), R"(192.0.2.7 - - [10/Oct/2000:13:55:36 +0000] "GET /a?b HTTP/1.1" 200 42 "-" "curl/8")");
}

TEST(AccessLog, AClientCannotForgeALine) {
  auto entry = example();
  entry.user_agent = "x\"\n1.2.3.4 - - \xff";
  EXPECT_EQ(line(entry),
            R"(192.0.2.7 - - [10/Oct/2000:13:55:36 +0000] "GET /a?b HTTP/1.1" 200 42 "-" "x\"\x0a1.2.3.4 - - \xff")");
  EXPECT_EQ(line(entry, config::LogFormat::json).find('\n'), std::string::npos);
}

TEST(AccessLog, AMalformedRequestHasADash) {
  EXPECT_EQ(line({.client = "192.0.2.7", .unix_seconds = 971186136, .status = 400, .bytes = 3}),
            R"(192.0.2.7 - - [10/Oct/2000:13:55:36 +0000] "-" 400 3 "-" "-")");
}

TEST(AccessLog, JsonHasTheSameFacts) {
  const auto json = line(example(), config::LogFormat::json);
  EXPECT_NE(json.find(R"("time":"2000-10-10T13:55:36Z","status":200,"bytes":42,"duration_ms":1.500)"),
            std::string::npos)
      << json;
  EXPECT_NE(json.find(R"("client":"192.0.2.7")"), std::string::npos);
}

}  // namespace
}  // namespace fivefold::serve
