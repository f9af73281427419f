#include "config/faults.h"

#include <gtest/gtest.h>

namespace fivefold::config {
namespace {

TEST(Fault, IsOneLine) {
  EXPECT_EQ(to_string({Fault::Severity::error,
                       {"fivefold.toml", 12, 3},
                       "unknown key 'lisen' in [server]",
                       "did you mean 'listen'?"}),
            "fivefold.toml:12:3: error: unknown key 'lisen' in [server]; did you mean 'listen'?");
  EXPECT_EQ(to_string({Fault::Severity::warning, {"a.toml", 0, 0}, "something", ""}), "a.toml: warning: something");
  EXPECT_EQ(to_string({Fault::Severity::error, {}, "something", ""}), "error: something");
}

TEST(Faults, ComeInTheOrderOfTheFile) {
  Faults faults("f");
  faults.error({3, 1}, "c");
  faults.warning({1, 5}, "b");
  faults.error({1, 2}, "a");
  faults.error({3, 1}, "d");
  std::string order;
  EXPECT_TRUE(faults.has_errors());
  for (const auto& fault : faults.take()) order += fault.message;
  EXPECT_EQ(order, "abcd");
}

TEST(NearestName, IsTwoEditsAwayOrBegunAlike) {
  const std::vector<std::string_view> known = {"listen", "threads", "log", "log_level", "access_log", "on"};
  struct Case {
    const char *word, *expected;
  };
  const Case cases[] = {{"lisen", "listen"},
                        {"Listen", "listen"},
                        {"thread", "threads"},
                        {"treads", "threads"},
                        {"log_lvl", "log_level"},
                        {"acces_log", "access_log"},
                        {"access", "access_log"},
                        {"listening", "listen"},
                        {"zzz", ""},
                        {"", ""},
                        {"xy", ""}};
  for (const auto& [word, expected] : cases) EXPECT_EQ(nearest(word, known), expected) << word;
  EXPECT_EQ(nearest(std::string(100000, 'a'), known), "");
}

}  // namespace
}  // namespace fivefold::config
