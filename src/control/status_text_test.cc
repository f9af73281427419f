#include <gtest/gtest.h>

#include "control/status.h"

namespace fivefold::control {
namespace {

nlohmann::json example() {
  return {{"version", "0.1.0"},
          {"pid", 4711},
          {"keeper_pid", 4710},
          {"user", "www-data"},
          {"uptime", 7980},
          {"threads", 2},
          {"memory", 14'200'000},
          {"config", "/etc/fivefold/fivefold.toml"},
          {"routes", 3},
          {"crashes", 1},
          {"last_crash", "2026-01-02T03:04:05.678Z was ended by signal 9 (Killed)"},
          {"listeners", {"http://127.0.0.1:8080", "unix:/run/x.sock"}},
          {"connections", {{"open", 12}, {"idle", 10}, {"accepted", 1024}}},
          {"descriptors", {{"open", 40}, {"limit", 1048576}}},
          {"requests", {{"total", 52001}, {"active", 2}, {"2xx", 51990}, {"4xx", 11}, {"duration_us", 52'001'000}}},
          {"bytes", {{"received", 12'300'000}, {"sent", 1'200'000'000}}},
          {"programs",
           {{{"name", "scripts"},
             {"model", "cgi"},
             {"requests", 123},
             {"failures", 1},
             {"running", 1},
             {"waiting", 4},
             {"memory", 5'200'000},
             {"processes",
              {{{"pid", 4812},
                {"what", "/srv/cgi-bin/hello.pl"},
                {"age_ms", 300},
                {"memory", 5'200'000},
                {"request_id", "0af3"}}}},
             {"last_failure", "exited with status 3\nbefore its head"},
             {"last_failure_at", 1000}}}}};
}

TEST(StatusText, TellsEverythingAPersonAsksFor) {
  const auto text = status_text(example(), 1180);
  for (const char* part :
       {"Fivefold 0.1.0, up 2 h 13 min", "server process 4711 as www-data, keeper 4710, 2 loops, 14 MB",
        "listening on   http://127.0.0.1:8080\n               unix:/run/x.sock",
        "12 open, 10 of them idle; 1,024 accepted", "52,001 answered, 2 in flight; 2xx 51,990",
        "12 MB received, 1.2 GB sent", "1 of the server process, the last 2026-01-02", "scripts  cgi", "pid 4812",
        "0.3 s", "/srv/cgi-bin/hello.pl  request 0af3", "last failure 3 min 0 s ago: exited with status 3"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\nis not in\n" << text;
}

TEST(StatusText, AnInstanceIsShownWithItsStateAndWhatItDoes) {
  auto status = example();
  status["programs"][0]["processes"][0].update({{"state", "draining"},
                                                {"reason", "it has answered 1,000 requests"},
                                                {"requests", 1000},
                                                {"active", 2},
                                                {"what", "instance 3: GET /slow (12 s)"}});
  const auto text = status_text(status, 1180);
  for (const char* part : {"pid 4812", "draining", "1,000 answered, 2 now", "instance 3: GET /slow (12 s)",
                           "(it has answered 1,000 requests)"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\nis not in\n" << text;
  status["programs"][0]["processes"][0]["pid"] = 0;
  EXPECT_NE(status_text(status, 1180).find("(not ours)"), std::string::npos);
}

TEST(StatusText, WhatAProgramSaysCannotMoveTheTerminalCursor) {
  auto status = example();
  status["programs"][0]["last_failure"] = "bad \033[2J\nthing";
  const auto text = status_text(status, 1180);
  EXPECT_EQ(text.find('\033'), std::string::npos);
  EXPECT_NE(text.find("bad \\x1b[2J"), std::string::npos) << text;
}

TEST(StatusText, AServerThatIsStartingIsShownToo) {
  EXPECT_NE(status_text({{"version", "9"}, {"pid", 1}}, 0).find("Fivefold 9"), std::string::npos);
}

TEST(TopText, ShowsRatesBetweenTwoPictures) {
  const auto before = example();
  auto now = before;
  now["requests"]["total"] = 52001 + 500;
  now["requests"]["duration_us"] = 52'001'000 + 250'000;
  now["programs"][0]["requests"] = 123 + 50;
  const auto text = top_text(now, before, 2.0, 1180, 0, 0);
  EXPECT_NE(text.find("250, 0.50 ms each"), std::string::npos) << text;
  EXPECT_NE(text.find("      25\n"), std::string::npos) << text;
}

TEST(TopText, FitsTheTerminal) {
  const auto text = top_text(example(), nullptr, 0, 1180, 5, 20);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 5);
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = text.find('\n', begin);
    EXPECT_LE(end - begin, 20u);
    begin = end + 1;
  }
}

TEST(Words, NumbersForPeople) {
  EXPECT_EQ(duration_words(59), "59 s");
  EXPECT_EQ(duration_words(60), "1 min 0 s");
  EXPECT_EQ(duration_words(90061), "1 d 1 h");
  EXPECT_EQ(size_words(999), "999 B");
  EXPECT_EQ(size_words(1000), "1.0 kB");
  EXPECT_EQ(size_words(999'999), "1.0 MB");
  EXPECT_EQ(size_words(12'345'678), "12 MB");
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(1234567), "1,234,567");
}

}  // namespace
}  // namespace fivefold::control
