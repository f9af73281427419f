#include "process/scaling_policy.h"

#include <gtest/gtest.h>

#include <random>

namespace fivefold::process {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const net::TimePoint kNow{std::chrono::hours(100)};

struct Row {
  const char* what;
  ScalingLimits limits;
  ScalingPicture picture;
  std::uint32_t start = 0;
  std::vector<std::size_t> stop = {};
  std::uint32_t surplus = 0;
  std::optional<net::TimePoint> look_again = {};
};

net::TimePoint ago(milliseconds time) { return kNow - time; }
net::TimePoint in(milliseconds time) { return kNow + time; }

const std::vector<Row> kRows{
    {"an empty pool starts its minimum", {.min_instances = 2, .max_instances = 8}, {.now = kNow}, 2},
    {"those that start count", {.min_instances = 2, .max_instances = 8}, {.now = kNow, .starting = 1}, 1},
    {"enough is enough", {.min_instances = 2, .max_instances = 8}, {.now = kNow, .ready = 1, .starting = 1}},
    {"no more at a time than may start at once",
     {.min_instances = 9, .max_instances = 9, .starts_at_once = 4},
     {.now = kNow, .starting = 1},
     3},
    {"none while as many start", {.min_instances = 9, .max_instances = 9}, {.now = kNow, .starting = 4}},
    {"nothing runs for nobody", {.min_instances = 0, .max_instances = 8}, {.now = kNow}},
    {"the first request starts one", {.min_instances = 0, .max_instances = 8}, {.now = kNow, .waiting = 1}, 1},
    {"without a cap one start does for a few requests",
     {.min_instances = 0, .max_instances = 8},
     {.now = kNow, .waiting = 16},
     1},
    {"and more of them want more", {.min_instances = 0, .max_instances = 8}, {.now = kNow, .waiting = 17}, 2},
    {"without a cap much work at once wants one more",
     {.min_instances = 1, .max_instances = 8},
     {.now = kNow, .ready = 1, .active = 17},
     1},
    {"which is asked for once",
     {.min_instances = 1, .max_instances = 8},
     {.now = kNow, .ready = 1, .starting = 1, .active = 17}},
    {"with a cap each waiting one wants its place",
     {.min_instances = 0, .max_instances = 8, .concurrency = 1},
     {.now = kNow, .ready = 2, .active = 2, .waiting = 3},
     3},
    {"starting ones are for those who wait",
     {.min_instances = 0, .max_instances = 8, .concurrency = 1},
     {.now = kNow, .ready = 2, .starting = 2, .active = 2, .waiting = 3},
     1},
    {"places are counted, not instances",
     {.min_instances = 0, .max_instances = 8, .concurrency = 4},
     {.now = kNow, .ready = 1, .active = 4, .waiting = 5},
     2},
    {"free places first",
     {.min_instances = 0, .max_instances = 8, .concurrency = 4},
     {.now = kNow, .ready = 2, .active = 6, .waiting = 2}},
    {"with a cap nobody waits: nothing more, however many are active",
     {.min_instances = 1, .max_instances = 8, .concurrency = 2},
     {.now = kNow, .ready = 1, .active = 5}},
    {"never above the maximum",
     {.min_instances = 1, .max_instances = 3, .concurrency = 1},
     {.now = kNow, .ready = 2, .active = 2, .waiting = 100},
     1},
    {"a minimum above the maximum is the maximum", {.min_instances = 5, .max_instances = 2}, {.now = kNow}, 2},
    {"not before its time",
     {.min_instances = 1, .max_instances = 1},
     {.now = kNow, .waiting = 1, .not_before = in(seconds(2))},
     0,
     {},
     0,
     in(seconds(2))},
    {"at its time", {.min_instances = 1, .max_instances = 1}, {.now = kNow, .waiting = 1, .not_before = kNow}, 1},
    {"who wants nothing waits for nothing",
     {.min_instances = 1, .max_instances = 1},
     {.now = kNow, .ready = 1, .not_before = in(seconds(2))}},
    {"an idle one above the minimum ends in time",
     {.min_instances = 1, .max_instances = 4, .idle_timeout = seconds(60)},
     {.now = kNow, .ready = 2, .idle_since = {ago(seconds(60)), ago(seconds(10))}},
     0,
     {0}},
    {"not sooner, and says when",
     {.min_instances = 1, .max_instances = 4, .idle_timeout = seconds(60)},
     {.now = kNow, .ready = 2, .idle_since = {ago(seconds(10)), ago(seconds(59))}},
     0,
     {},
     0,
     in(seconds(1))},
    {"the longest idle first",
     {.min_instances = 1, .max_instances = 4, .idle_timeout = seconds(60)},
     {.now = kNow, .ready = 3, .idle_since = {ago(seconds(70)), ago(seconds(90)), ago(seconds(80))}},
     0,
     {1, 2}},
    {"and then the next one's time",
     {.min_instances = 0, .max_instances = 4, .idle_timeout = seconds(60)},
     {.now = kNow, .ready = 2, .idle_since = {ago(seconds(20)), ago(seconds(90))}},
     0,
     {1},
     0,
     in(seconds(40))},
    {"never below the minimum",
     {.min_instances = 2, .max_instances = 4, .idle_timeout = seconds(60)},
     {.now = kNow, .ready = 2, .idle_since = {ago(seconds(100)), ago(seconds(100))}}},
    {"one that only starts does not stand in for the minimum",
     {.min_instances = 1, .max_instances = 4, .idle_timeout = seconds(60)},
     {.now = kNow, .ready = 1, .starting = 1, .idle_since = {ago(seconds(100))}}},
    {"the whole pool may sleep",
     {.min_instances = 0, .max_instances = 4, .idle_timeout = seconds(60)},
     {.now = kNow, .ready = 1, .idle_since = {ago(seconds(61))}},
     0,
     {0}},
    {"above the maximum idle ones end at once",
     {.min_instances = 1, .max_instances = 1, .idle_timeout = seconds(60)},
     {.now = kNow, .ready = 2, .idle_since = {ago(seconds(1))}},
     0,
     {0}},
    {"and busy ones too",
     {.min_instances = 1, .max_instances = 1, .idle_timeout = seconds(60)},
     {.now = kNow, .ready = 4, .active = 9, .idle_since = {ago(seconds(1))}},
     0,
     {0},
     2},
    {"none at all is a setting too",
     {.min_instances = 0, .max_instances = 0},
     {.now = kNow, .ready = 1, .active = 1, .waiting = 3},
     0,
     {},
     1},
};

TEST(ScalingPolicy, Table) {
  for (const Row& row : kRows) {
    const ScalingDecision decision = decide(row.limits, row.picture);
    EXPECT_EQ(decision.start, row.start) << row.what;
    EXPECT_EQ(decision.stop, row.stop) << row.what;
    EXPECT_EQ(decision.surplus, row.surplus) << row.what;
    EXPECT_EQ(decision.look_again, row.look_again) << row.what;
  }
}

TEST(ScalingPolicy, KeepsItsBoundsWhateverThePicture) {
  std::minstd_rand random(7);
  const auto up_to = [&](unsigned most) { return static_cast<std::uint32_t>(random() % (most + 1)); };
  for (int i = 0; i < 20'000; ++i) {
    const ScalingLimits limits{.min_instances = up_to(6),
                               .max_instances = up_to(8),
                               .idle_timeout = milliseconds(up_to(100)),
                               .concurrency = up_to(3),
                               .starts_at_once = 1 + up_to(4)};
    ScalingPicture picture{
        .now = kNow, .ready = up_to(10), .starting = up_to(5), .active = up_to(40), .waiting = up_to(40)};
    if (up_to(1)) picture.not_before = kNow + milliseconds(up_to(20)) - milliseconds(10);
    for (std::uint32_t idle = up_to(picture.ready); idle > 0; --idle)
      picture.idle_since.push_back(ago(milliseconds(up_to(200))));
    const ScalingDecision decision = decide(limits, picture);
    const std::uint32_t least = std::min(limits.min_instances, limits.max_instances);
    if (decision.start > 0) {
      EXPECT_LE(picture.ready + picture.starting + decision.start, limits.max_instances);
      EXPECT_LE(picture.starting + decision.start, limits.starts_at_once);
      EXPECT_TRUE(!picture.not_before || *picture.not_before <= kNow);
    }
    const auto stopped = static_cast<std::uint32_t>(decision.stop.size()) + decision.surplus;
    EXPECT_LE(stopped, picture.ready);
    if (stopped > 0) EXPECT_GE(picture.ready - stopped, least);
    EXPECT_LE(picture.ready - stopped, limits.max_instances);
    if (decision.look_again) EXPECT_GT(*decision.look_again, kNow);
  }
}

}  // namespace
}  // namespace fivefold::process
