#include "control/metrics.h"

#include <gtest/gtest.h>

#include "control/fixture_test.h"
#include "control/status.h"

namespace fivefold::control {
namespace {

TEST(Metrics, AreTheCountersOfEveryLoop) {
  TestServer server;
  ServerView view;
  view.http = server.http.get();
  view.crashes = 3;
  auto& counters = *server.http->counters()[0];
  counters.requests = 12;
  counters.responses[2] = 10;
  counters.responses[5] = 2;
  counters.duration_buckets[0] = 9;
  counters.duration_buckets[2] = 2;
  counters.duration_buckets[11] = 1;
  counters.duration_sum_us = 1'500'000;
  const auto text = metrics_text(view);
  for (const char* line :
       {"# TYPE fivefold_requests_total counter\nfivefold_requests_total 12\n",
        "fivefold_responses_total{class=\"2xx\"} 10\n", "fivefold_responses_total{class=\"5xx\"} 2\n",
        "fivefold_request_duration_seconds_bucket{le=\"0.0005\"} 9\n",
        "fivefold_request_duration_seconds_bucket{le=\"0.005\"} 11\n",
        "fivefold_request_duration_seconds_bucket{le=\"60\"} 11\n",
        "fivefold_request_duration_seconds_bucket{le=\"+Inf\"} 12\n", "fivefold_request_duration_seconds_count 12\n",
        "fivefold_request_duration_seconds_sum 1.5\n", "fivefold_server_crashes_total 3\n",
        "fivefold_program_requests_total{program=\"scripts\",model=\"cgi\"} 7\n",
        "fivefold_program_failures_total{program=\"scripts\",model=\"cgi\"} 2\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << "\nis not in\n" << text;
}

TEST(Metrics, EachFamilyIsDescribedOnce) {
  TestServer server;
  ServerView view;
  view.http = server.http.get();
  const auto text = metrics_text(view);
  const std::string once = "# HELP fivefold_responses_total ";
  const auto first = text.find(once);
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(text.find(once, first + 1), std::string::npos);
}

TEST(StatusJson, NamesProgramsWithTheirProcesses) {
  TestServer server;
  ServerView view;
  view.http = server.http.get();
  view.keeper_pid = 4710;
  const auto status = status_json(view);
  EXPECT_EQ(status.at("keeper_pid"), 4710);
  EXPECT_EQ(status.at("config"), "/srv/fivefold.toml");
  EXPECT_EQ(status.at("threads"), 1);
  const auto& program = status.at("programs").at(0);
  EXPECT_EQ(program.at("name"), "scripts");
  EXPECT_EQ(program.at("log"), "/var/log/programs/scripts.log");
  const auto& process = program.at("processes").at(0);
  EXPECT_EQ(process.at("age_ms"), 1500);
  EXPECT_EQ(process.at("request_id"), "0af3");
  EXPECT_GT(process.at("memory").get<std::uint64_t>(), 0u);
}

}  // namespace
}  // namespace fivefold::control
