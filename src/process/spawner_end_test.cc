// How processes end: by their owner, by a signal, with their client, with the keeper, with the helper; and that nothing
// is left behind.
#include "net/channel.h"
#include "process/spawn_protocol.h"
#include "process/test_rig.h"

namespace fivefold::process {
namespace {

net::Task<void> released(Rig& rig, bool leader_exits) {
  // Whoever inherits `life` lives; its other end closes when all are gone.
  Ends life = make_pipe();
  Ends out = make_pipe();
  SpawnPlan plan = shell(leader_exits ? "sleep 1000 >/dev/null & sleep 1000 >/dev/null & echo up"
                                      : "sleep 1000 & echo up; sleep 1000; true");
  plan.stdout_fd = out.second.get();
  plan.stderr_fd = life.second.get();
  auto started = co_await rig.client->spawn(std::move(plan));
  EXPECT_TRUE(started);
  out.second.reset();
  life.second.reset();
  char up[3];
  EXPECT_EQ(::read(out.first.get(), up, 3), 3);
  if (leader_exits) co_await (*started)->exited().wait();
  EXPECT_FALSE(closes_within(life.first.get(), milliseconds(20)));
  (*started)->set_grace(milliseconds(10000));
  started->reset();
  const auto end = rig.loop.now() + milliseconds(5000);
  bool gone = false;
  while (!gone && rig.loop.now() < end) {
    gone = closes_within(life.first.get(), milliseconds(2));
    co_await net::sleep_until(rig.loop, rig.loop.now() + milliseconds(1));
  }
  EXPECT_TRUE(gone) << "a process of the group lives on";
}
TEST(SpawnerEnd, LettingGoEndsTheWholeGroup) {
  Rig rig;
  rig.run(released(rig, false));
}
TEST(SpawnerEnd, LettingGoOfAnExitedProcessEndsWhatItLeftBehind) {
  Rig rig;
  rig.run(released(rig, true));
}

net::Task<void> stubborn(Rig& rig) {
  Ends life = make_pipe();
  Ends out = make_pipe();
  SpawnPlan plan = shell("trap '' TERM; echo up; while :; do sleep 1000 >/dev/null; done");
  plan.stdout_fd = out.second.get();
  plan.stderr_fd = life.second.get();
  auto started = co_await rig.client->spawn(std::move(plan));
  out.second.reset();
  life.second.reset();
  char up[3];
  EXPECT_EQ(::read(out.first.get(), up, 3), 3);
  (*started)->set_grace(milliseconds(300));
  const auto start = rig.loop.now();
  started->reset();
  EXPECT_TRUE(closes_within(life.first.get(), milliseconds(5000)));
  EXPECT_GE(rig.loop.now() - start, milliseconds(300));
}
TEST(SpawnerEnd, WhoIgnoresTermIsKilledAfterTheGrace) {
  Rig rig;
  rig.run(stubborn(rig));
}

net::Task<void> signalled(Rig& rig) {
  Ends out = make_pipe();
  SpawnPlan plan = shell("trap 'echo got it; exit 5' USR1; echo up; while :; do sleep 0.05; done");
  plan.stdout_fd = out.second.get();
  auto started = co_await rig.client->spawn(std::move(plan));
  out.second.reset();
  char up[3];
  EXPECT_EQ(::read(out.first.get(), up, 3), 3);
  (*started)->signal(SIGUSR1);
  co_await (*started)->exited().wait();
  // The signal went to the whole group; sh runs its trap.
  EXPECT_EQ((*started)->exit_status()->code, 5);
  EXPECT_EQ(read_all(out.first.get()), "got it\n");
}
TEST(SpawnerEnd, SendsSignals) {
  Rig rig;
  rig.run(signalled(rig));
}

net::Task<void> client_goes(Rig& rig) {
  Ends life = make_pipe();
  SpawnPlan plan = shell("trap '' TERM; sleep 1000 & sleep 1000");
  plan.stderr_fd = life.second.get();
  auto started = co_await rig.client->spawn(std::move(plan));
  EXPECT_TRUE(started);
  life.second.reset();
  rig.client.reset();
  EXPECT_TRUE(closes_within(life.first.get(), milliseconds(2000)));
  // Its owner is told.
  co_await (*started)->exited().wait();
  EXPECT_EQ((*started)->exit_status()->signal, SIGKILL);
}
TEST(SpawnerEnd, AClientThatGoesTakesItsProcessesAlong) {
  Rig rig;
  rig.run(client_goes(rig));
}

net::Task<void> daemonised(Rig& rig) {
  Ends life = make_pipe();
  Ends out = make_pipe();
  // Twice forked, each in a session of its own, and the group leader gone: only the reaper of all can find them.
  SpawnPlan plan = shell(
      "setsid sh -c 'setsid sh -c \"trap : TERM HUP INT; echo up; exec >/dev/null; while :; do sleep 1000; done\" & "
      "sleep 1000 >/dev/null' & exit 0");
  plan.stdout_fd = out.second.get();
  plan.stderr_fd = life.second.get();
  auto started = co_await rig.client->spawn(std::move(plan));
  out.second.reset();
  life.second.reset();
  char up[3];
  EXPECT_EQ(::read(out.first.get(), up, 3), 3);
  co_await (*started)->exited().wait();
  EXPECT_FALSE(closes_within(life.first.get(), milliseconds(20)));
  const milliseconds took = rig.helper.end();
  EXPECT_LT(took, milliseconds(1500));
  EXPECT_TRUE(closes_within(life.first.get(), milliseconds(100)));
}
TEST(SpawnerEnd, NothingOutlivesTheKeeperNotEvenADaemon) {
  Rig rig;
  rig.run(daemonised(rig));
}

net::Task<void> helper_dies(Rig& rig) {
  Ends life = make_pipe();
  SpawnPlan plan = shell("exec sleep 1000");
  plan.stderr_fd = life.second.get();
  auto started = co_await rig.client->spawn(std::move(plan));
  EXPECT_TRUE(started);
  life.second.reset();
  rig.helper.kill();
  co_await (*started)->exited().wait();
  EXPECT_EQ((*started)->exit_status()->signal, SIGKILL);
  EXPECT_TRUE(closes_within(life.first.get(), milliseconds(2000))) << "the process lived on without its helper";
  EXPECT_FALSE(rig.client->connected());
  Outcome refused = co_await outcome_of(rig, shell("echo no"));
  EXPECT_EQ(refused.error.code, Code::program_unavailable);
  EXPECT_EQ(refused.error.detail, "1");
  HelperProcess second;
  rig.client->reconnect(second.connect());
  Outcome good = co_await outcome_of(rig, shell("echo yes"));
  EXPECT_EQ(good.output, "yes\n");
  started->reset();
  rig.client.reset();
}
TEST(SpawnerEnd, AHelperThatDiesIsNoticedAndCanBeReplaced) {
  Rig rig;
  rig.run(helper_dies(rig));
}

net::Task<void> let_spawn(Rig& rig, SpawnPlan plan) {
  auto started = co_await rig.client->spawn(std::move(plan));
  ADD_FAILURE() << "it was let go of before";
}
net::Task<void> cancelled(Rig& rig) {
  Ends life = make_pipe();
  for (int i = 0; i < 40; ++i) {
    SpawnPlan plan = shell("exec sleep 1000");
    plan.stderr_fd = life.second.get();
    net::Running running(let_spawn(rig, std::move(plan)));
  }
  life.second.reset();
  Outcome next = co_await outcome_of(rig, shell("echo next"));
  EXPECT_EQ(next.output, "next\n");
  EXPECT_TRUE(closes_within(life.first.get(), milliseconds(3000)));
}
TEST(SpawnerEnd, AStartThatIsLetGoOfLeavesNoProcess) {
  Rig rig;
  rig.run(cancelled(rig));
}

std::vector<std::string> malformed_messages() {
  SpawnHeader good;
  good.id = 1;
  good.executable_size = 10;
  good.directory_size = 2;
  good.arguments_size = 5;
  good.arguments_count = 1;
  const std::string body("/bin/true\0/\0true\0", 17);
  const auto spawn = [](SpawnHeader header, std::string bytes) { return std::string(bytes_of(header)) + bytes; };
  std::vector<std::string> messages;
  messages.push_back("x");
  messages.push_back(std::string(4, '\xff'));
  messages.push_back(spawn(good, body.substr(1)));
  messages.push_back(spawn(good, body + "x"));
  messages.push_back(std::string(bytes_of(good)).substr(0, 20));
  SpawnHeader bad = good;
  bad.executable_size = 0xffffffff;
  bad.directory_size = 0xffffffff;
  messages.push_back(spawn(bad, body));
  bad = good;
  bad.arguments_count = 2;
  messages.push_back(spawn(bad, body));
  bad = good;
  bad.release_count = 0xffffffff;
  messages.push_back(spawn(bad, body));
  bad = good;
  bad.flags = SpawnHeader::kStdout;  // and no descriptor
  messages.push_back(spawn(bad, body));
  bad = good;
  bad.flags = 0x80;
  messages.push_back(spawn(bad, body));
  bad = good;
  bad.flags = SpawnHeader::kBodyInMemfd;
  messages.push_back(spawn(bad, ""));
  messages.push_back(spawn(good, std::string("bin/trues\0/\0true\0", 17)));
  messages.push_back(spawn(good, std::string("/bin\0true\0/\0true\0", 17)));
  messages.push_back(spawn(good, std::string("/bin/true\0/\0true!", 17)));
  bad = good;
  bad.id = kFirstAdoptedId;
  messages.push_back(spawn(bad, body));
  bad = good;
  bad.umask = 01000;
  messages.push_back(spawn(bad, body));
  bad = good;
  bad.keep_size = SpawnPlan::kMostKeep + 1;
  messages.push_back(spawn(bad, body + std::string(bad.keep_size, 'k')));
  bad = good;
  bad.keep_size = 3;
  messages.push_back(spawn(bad, body + "ke"));
  bad = good;
  bad.kept_count = 1;  // and nothing to keep
  messages.push_back(spawn(bad, body));
  bad = good;
  bad.keep_size = 1;
  bad.kept_count = 0xffffffff;
  messages.push_back(spawn(bad, body + "k"));
  bad = good;
  bad.extra_count = 1;  // and no descriptor
  messages.push_back(spawn(bad, body));
  bad = good;
  bad.extra_count = 0xfffffff0;
  messages.push_back(spawn(bad, body));
  messages.push_back(std::string(bytes_of(AdoptMessage{})) + "x");
  messages.push_back(std::string(bytes_of(DisownMessage{})).substr(0, 12));
  messages.push_back(std::string(200'000, '\1'));
  SignalMessage signal;
  signal.number = 4711;
  messages.push_back(std::string(bytes_of(signal)));
  return messages;
}
net::Task<void> hostile(Rig& rig) {
  Ends hold = make_pipe();
  SpawnPlan plan = shell("read line; echo \"$line\"");
  Ends out = make_pipe();
  plan.stdin_fd = hold.first.get();
  plan.stdout_fd = out.second.get();
  auto bystander = co_await rig.client->spawn(std::move(plan));
  out.second.reset();
  for (const std::string& message : malformed_messages()) {
    UniqueFd enemy = rig.helper.connect();
    EXPECT_TRUE(net::send_message(enemy.get(), message));
    auto answer = net::receive_message(enemy.get());
    EXPECT_FALSE(answer) << "the helper answered";
  }
  // An unsealed file as the body, and a process of somebody else's named.
  UniqueFd enemy = rig.helper.connect();
  SignalMessage signal;
  signal.number = SIGKILL;
  signal.id = 1;
  EXPECT_TRUE(net::send_message(enemy.get(), bytes_of(signal)));
  DisownMessage disown;
  disown.id = 1;
  EXPECT_TRUE(net::send_message(enemy.get(), bytes_of(disown)));
  SpawnHeader header;
  header.flags = SpawnHeader::kBodyInMemfd;
  header.arguments_count = 1;
  header.executable_size = 10;
  const UniqueFd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  const int fd = file.get();
  EXPECT_TRUE(net::send_message(enemy.get(), bytes_of(header), std::span(&fd, 1)));
  EXPECT_FALSE(net::receive_message(enemy.get()));
  const auto notice = net::receive_message(rig.helper.keeper());
  EXPECT_TRUE(notice && parse_notice(notice->bytes)) << "the keeper was not told";
  EXPECT_EQ(::write(hold.second.get(), "unharmed\n", 9), 9);
  EXPECT_EQ(read_all(out.first.get()), "unharmed\n");
  Outcome good = co_await outcome_of(rig, shell("echo yes"));
  EXPECT_EQ(good.output, "yes\n");
}
TEST(SpawnerEnd, MalformedMessagesHarmOnlyTheirSender) {
  Rig rig;
  rig.run(hostile(rig));
}

std::size_t zombies_of(pid_t parent) {
  std::size_t zombies = 0;
  std::ifstream children("/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) + "/children");
  for (pid_t child = 0; children >> child;) ++zombies;
  return zombies;
}
net::Task<void> reaped(Rig& rig) {
  for (int i = 0; i < 20; ++i) {
    // It leaves a process behind that ends later, in a session of its own.
    Outcome outcome = co_await outcome_of(rig, shell("setsid sh -c 'exec >/dev/null; sleep 0.05' & exit 0"));
    EXPECT_TRUE(outcome.status && outcome.status->success());
  }
  const auto end = rig.loop.now() + milliseconds(10000);
  while (zombies_of(rig.helper.pid()) != 0 && rig.loop.now() < end)
    co_await net::sleep_until(rig.loop, rig.loop.now() + milliseconds(20));
  EXPECT_EQ(zombies_of(rig.helper.pid()), 0u);
}
TEST(SpawnerEnd, NoZombieStays) {
  Rig rig;
  rig.run(reaped(rig));
}

net::Task<void> signalled_helper(Rig& rig) {
  Outcome first = co_await outcome_of(rig, shell("echo yes"));
  EXPECT_EQ(first.output, "yes\n");
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1}) ::kill(rig.helper.pid(), number);
  Outcome second = co_await outcome_of(rig, shell("echo yes"));
  EXPECT_EQ(second.output, "yes\n");
}
TEST(SpawnerEnd, TheHelperIgnoresSignalsMeantForTheKeeper) {
  Rig rig;
  rig.run(signalled_helper(rig));
}

net::Task<void> listed_descriptors(Rig& rig) {
  Outcome good = co_await outcome_of(rig, shell("ls -l /proc/" + std::to_string(rig.helper.pid()) + "/fd"));
  EXPECT_EQ(good.output.find("/dev/zero"), std::string::npos) << good.output;
  EXPECT_NE(good.output.find("/dev/null"), std::string::npos) << good.output;
}
TEST(SpawnerEnd, TheHelperKeepsOnlyTheDescriptorsItNeeds) {
  const UniqueFd secret(::open("/dev/zero", O_RDONLY));  // inherited by fork, not even close-on-exec
  Rig rig;
  rig.run(listed_descriptors(rig));
}

}  // namespace
}  // namespace fivefold::process
