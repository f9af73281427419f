#include "app/keeper/keeper.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "app/keeper/helpers.h"

namespace fivefold::app {
namespace {

using namespace std::chrono_literals;

TEST(RestartDelay, GrowsToALimit) {
  EXPECT_EQ(restart_delay(0), 0ms);
  EXPECT_EQ(restart_delay(1), 0ms);
  EXPECT_EQ(restart_delay(2), 100ms);
  EXPECT_EQ(restart_delay(3), 200ms);
  EXPECT_EQ(restart_delay(4), 400ms);
  EXPECT_EQ(restart_delay(8), 5s);
  EXPECT_EQ(restart_delay(4'000'000'000u), 5s);
}

TEST(HowItEnded, InWords) {
  EXPECT_EQ(how_it_ended(3 << 8), "exited with status 3");
  EXPECT_EQ(how_it_ended(SIGKILL), "was ended by signal 9 (Killed)");
  EXPECT_NE(how_it_ended(SIGSEGV | 0x80).find("left a core"), std::string::npos);
}

TEST(HelperCount, OnePerTwoCoresUnlessConfigured) {
  EXPECT_EQ(helper_count(0, 1), 1u);
  EXPECT_EQ(helper_count(0, 2), 1u);
  EXPECT_EQ(helper_count(0, 16), 8u);
  EXPECT_EQ(helper_count(3, 16), 3u);
}

}  // namespace
}  // namespace fivefold::app
