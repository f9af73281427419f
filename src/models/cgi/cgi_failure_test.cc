// Requests in which the script, the client or the machine fails.
#include "models/cgi/cgi_rig_test.h"

namespace fivefold::models::cgi {
namespace {

TEST_F(Cgi, BodyThatBreaksOffKillsTheScriptAndGivesItNoEnd) {
  shell("eof.cgi", "trap '' TERM; cat > /dev/null; touch " + folder + "/saw-end; printf 'X: y\\n\\n'");
  const auto got =
      request("/cgi-bin/eof.cgi", "Content-Length: 1000000\r\n", pieces(2, "some", Pieces::End::error), "POST");
  ASSERT_FALSE(got.response);
  EXPECT_EQ(got.response.error().code, Code::closed);
  run_until([this] { return all_have_ended(); });
  EXPECT_EQ(spawner.states[0]->status->signal, SIGKILL);
  EXPECT_FALSE(std::filesystem::exists(folder + "/saw-end"));
}

TEST_F(Cgi, SmallBodyThatBreaksOffStartsNothing) {
  shell("x.cgi", "printf 'X: y\\n\\n'");
  EXPECT_FALSE(
      request("/cgi-bin/x.cgi", "Content-Length: 10\r\n", pieces(1, "abc", Pieces::End::error), "POST").response);
  EXPECT_EQ(spawner.asked, 0);
}

TEST_F(Cgi, AnnouncedLength) {
  shell("exact.cgi", "printf 'Content-Length: 5\\n\\nhello'; exit 3");
  shell("excess.cgi", "printf 'Content-Length: 5\\n\\nhello and more'");
  shell("short.cgi", "printf 'Content-Length: 50\\n\\nhello'");
  shell("large.cgi", "printf 'Content-Length: 300000\\n\\n'; head -c 400000 /dev/zero");
  shell("large-short.cgi", "printf 'Content-Length: 300000\\n\\n'; head -c 200000 /dev/zero");
  EXPECT_EQ(request("/cgi-bin/exact.cgi").body, "hello");
  EXPECT_EQ(request("/cgi-bin/excess.cgi").body, "hello");
  const auto cut = request("/cgi-bin/short.cgi");
  EXPECT_EQ(cut.error().value().code, Code::program_failed);
  const auto large = request("/cgi-bin/large.cgi");
  EXPECT_EQ(large.length, 300'000u);
  EXPECT_EQ(large.body.size(), 300'000u);
  EXPECT_FALSE(large.body_error);
  const auto large_short = request("/cgi-bin/large-short.cgi");
  ASSERT_TRUE(large_short.body_error);
  EXPECT_EQ(large_short.body_error->code, Code::program_failed);
}

TEST_F(Cgi, DeathByASignalAfterTheHeadIsNoOrderlyEnd) {
  shell("small.cgi", "printf 'X: y\\n\\nhello'; kill -KILL $$");
  shell("large.cgi", "printf 'X: y\\n\\n'; head -c 200000 /dev/zero; kill -SEGV $$");
  const auto small = request("/cgi-bin/small.cgi");
  EXPECT_EQ(small.error().value().code, Code::program_failed);
  EXPECT_THAT(small.error()->message, HasSubstr("signal 9"));
  const auto large = request("/cgi-bin/large.cgi");
  EXPECT_EQ(large.body.size(), 200'000u);
  ASSERT_TRUE(large.body_error);
  EXPECT_EQ(large.body_error->code, Code::program_failed);
  EXPECT_THAT(current->failure_log, HasSubstr("signal 11"));
}

TEST_F(Cgi, ExitStatusAfterTheHeadIsOnlyLogged) {
  shell("done.cgi", "printf 'Status: 404\\n\\nno such page'; exit 1");
  const auto done = request("/cgi-bin/done.cgi");
  ASSERT_TRUE(done.response) << done.response.error().message;
  EXPECT_FALSE(done.error());
  EXPECT_EQ(done.response->status, 404);
  EXPECT_EQ(done.body, "no such page");
  EXPECT_THAT(logged(), HasSubstr("exited with status 1 after its response"));
}

TEST_F(Cgi, FailureBeforeTheHeadTellsItsStory) {
  shell("dies.cgi", "echo 'about to <die>' >&2; exit 9");
  shell("nothing.cgi", "exit 0");
  shell("chatter.cgi", "echo hello world");
  const auto died = request("/cgi-bin/dies.cgi");
  EXPECT_EQ(died.response.error().code, Code::program_failed);
  EXPECT_THAT(died.response.error().message, HasSubstr("without any output"));
  EXPECT_THAT(current->failure_log, HasSubstr("about to <die>"));
  EXPECT_THAT(current->failure_log, HasSubstr("status 9"));
  EXPECT_THAT(current->failure_page_html, HasSubstr("about to &lt;die&gt;"));
  EXPECT_THAT(logged(), HasSubstr("] " + std::string(32, 'a') + ": about to <die>\n"));
  EXPECT_EQ(request("/cgi-bin/nothing.cgi").response.error().code, Code::program_failed);
  EXPECT_THAT(request("/cgi-bin/chatter.cgi").response.error().message, HasSubstr("\"hello world\""));
  const auto status = model.status->status();
  EXPECT_EQ(status.requests, 3u);
  EXPECT_EQ(status.failures, 3u);
  EXPECT_THAT(status.last_failure, HasSubstr("chatter.cgi"));
}

TEST_F(Cgi, WhatCannotBeRun) {
  script("plain.txt", "text", 0644);
  script("bad.cgi", "#!/no/such/interpreter\n");
  std::filesystem::create_directory(folder + "/sub");
  EXPECT_EQ(request("/cgi-bin/none.cgi").response.error().code, Code::not_found);
  EXPECT_EQ(request("/cgi-bin/plain.txt").response.error().code, Code::forbidden);
  EXPECT_THAT(current->failure_log, HasSubstr("chmod +x"));
  EXPECT_EQ(request("/cgi-bin/sub").response.error().code, Code::forbidden);
  EXPECT_EQ(request("/cgi-bin/bad.cgi").response.error().code, Code::program_failed);
  EXPECT_THAT(current->failure_log, HasSubstr("/no/such/interpreter"));
}

TEST_F(Cgi, Timeouts) {
  shell("silent.cgi", "exec sleep 100");
  shell("stalls.cgi", "printf 'X: y\\n\\npart'; exec sleep 100");
  program.cgi.first_byte_timeout = 100ms;
  program.cgi.idle_timeout = 100ms;
  const auto silent = request("/cgi-bin/silent.cgi");
  EXPECT_EQ(silent.response.error().code, Code::program_timeout);
  EXPECT_THAT(silent.response.error().message, HasSubstr("first_byte_timeout"));
  const auto stalls = request("/cgi-bin/stalls.cgi");
  EXPECT_EQ(stalls.body, "part");
  ASSERT_TRUE(stalls.body_error);
  EXPECT_EQ(stalls.body_error->code, Code::program_timeout);
  run_until([this] { return all_have_ended(); });
}

TEST_F(Cgi, WholeRequestHasATimeToo) {
  shell("drips.cgi", "printf 'X: y\\n\\n'; while :; do echo x; sleep 0.02; done");
  program.timeout = 300ms;
  const auto drips = request("/cgi-bin/drips.cgi");
  ASSERT_TRUE(drips.body_error);
  EXPECT_EQ(drips.body_error->code, Code::program_timeout);
  EXPECT_THAT(drips.body_error->message, HasSubstr("(timeout)"));
}

TEST_F(Cgi, ClientThatLeavesEndsTheScript) {
  shell("long.cgi", "printf 'X: y\\n\\npart'; exec sleep 100");
  start("/cgi-bin/long.cgi");
  run_until([this] { return outcome->body == "part"; });
  task = net::Running();
  outcome.reset();
  run_until([this] { return all_have_ended(); });
  EXPECT_EQ(spawner.states[0]->status->signal, SIGTERM);
}

TEST_F(Cgi, OrItGoesOnWithoutTheClient) {
  program.cgi.on_disconnect = config::OnDisconnect::continue_;
  shell("long.cgi",
        "printf 'X: y\\n\\npart'; read x < " + folder + "/go; head -c 200000 /dev/zero; touch " + folder + "/done");
  ::mkfifo((folder + "/go").c_str(), 0600);
  start("/cgi-bin/long.cgi");
  run_until([this] { return outcome->body == "part"; });
  task = net::Running();
  outcome.reset();
  current.reset();
  std::ofstream(folder + "/go") << "x\n";
  run_until([this] { return all_have_ended(); });
  EXPECT_EQ(spawner.states[0]->status->code, 0);
  EXPECT_TRUE(std::filesystem::exists(folder + "/done"));
}

TEST_F(Cgi, OutputClosedEarlyAndALingeringProcess) {
  shell("lingers.cgi", "printf 'X: y\\n\\nhello'; exec >&- 2>&-; exec sleep 100");
  program.cgi.linger = 50ms;
  const auto got = request("/cgi-bin/lingers.cgi");
  EXPECT_EQ(got.body, "hello");
  EXPECT_FALSE(got.body_error);
  run_until([this] { return all_have_ended(); });
}

TEST_F(Cgi, GrandchildThatHoldsTheOutputOpen) {
  shell("daemon.cgi", "printf 'X: y\\n\\nhello'; sleep 100 & exit 0");
  shell("mute.cgi", "sleep 100 & exit 0");
  program.cgi.linger = 50ms;
  const auto got = request("/cgi-bin/daemon.cgi");
  EXPECT_EQ(got.body, "hello");
  EXPECT_FALSE(got.body_error);
  EXPECT_EQ(request("/cgi-bin/mute.cgi").response.error().code, Code::program_failed);
}

TEST_F(Cgi, ALotOfStandardErrorIsNoDeadlock) {
  shell("noisy.cgi",
        "i=0; while [ $i -lt 3000 ]; do echo 'this is a line of some length for the log of the program' >&2; "
        "i=$((i+1)); done; printf 'X: y\\n\\nok'");
  EXPECT_EQ(request("/cgi-bin/noisy.cgi").body, "ok");
  EXPECT_THAT(logged(), HasSubstr("this is a line"));
}

TEST_F(Cgi, NoPlaceIsServiceUnavailable) {
  shell("long.cgi", "exec sleep 100");
  program.cgi.concurrency = 1;
  program.queue_timeout = 50ms;
  start("/cgi-bin/long.cgi");
  run_until([this] { return model.status->status().processes.size() == 1; });
  auto first_task = std::move(task);
  auto first_exchange = std::move(current);
  auto first_outcome = std::move(outcome);
  const auto got = request("/cgi-bin/long.cgi");
  EXPECT_EQ(got.response.error().code, Code::program_unavailable);
  EXPECT_FALSE(got.response.error().detail.empty());
  EXPECT_EQ(spawner.asked, 1);
}

TEST_F(Cgi, HelperThatCannotStart) {
  shell("x.cgi", "printf 'X: y\\n\\n'");
  spawner.refusal = Error{Code::program_unavailable, "no room", "1"};
  EXPECT_EQ(request("/cgi-bin/x.cgi").response.error().code, Code::program_unavailable);
  EXPECT_EQ(model.status->status().running, 0u);
}

}  // namespace
}  // namespace fivefold::models::cgi
